"""Taking away what simulated visitors have left: what they count first, then their rows, their users, their partner.

The events stay in the log, marked void: numbers are never given again, and a log with holes could not be resumed from. So
the totals, and whatever is made anew from the log, hold what the remaining rows say. Everything goes in batches, each a
transaction of its own; who is stopped in between begins again.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import ProtectedError, Q

from livereferrals.callbacks.models import Delivery, Replay
from livereferrals.dashboard import rollups
from livereferrals.dashboard.models import RollupState
from livereferrals.events import log, voiding
from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import Event, EventType
from livereferrals.management.simulating import ground, stamps
from livereferrals.tracking import entries
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, Reversal, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.events.log import Entry

BATCH: Final = 200
COUNTED: Final = (EventType.HIT, EventType.CLAIM, EventType.CONFIRMATION, EventType.REVERSAL)
"""Events that add to totals."""


class Cleaning:
    """One `simulate --clean`; what it has taken away is in `counts`."""

    def __init__(self, *, forget: Callable[[Sequence[Any]], None], progress: Callable[[int], None]) -> None:
        """Nothing happens yet.

        Args:
            forget: takes away what the host keeps of simulated users.
            progress: is told of how many hits are gone.
        """
        self.counts: Counter[str] = Counter()
        self.kept: list[str] = []
        """What could not be taken away, and why."""
        self._forget = forget
        self._progress = progress
        self._using = router.db_for_write(ReferralHit)

    def total(self) -> int:
        """Return how many hits there are to take away, at most."""
        return ReferralHit.objects.using(self._using).filter(partner__in=ground.partners()).count()

    def run(self) -> None:
        """Take everything away."""
        rollups.advance()
        for partner in ground.partners():
            self._void_events(partner)
            self._remove_hits(partner)
        self._remove_users()
        for partner in ground.partners():
            self._remove_partner(partner)

    # --- events and totals ----------------------------------------------------------------------------------------------

    def _void_events(self, partner: Partner) -> None:
        last: uuid.UUID | None = None
        while True:
            events = Event.objects.using(self._using).filter(partner=partner.uid, type__in=COUNTED)
            found = list((events if last is None else events.filter(pk__gt=last)).order_by("pk")[:BATCH])
            if not found:
                return
            last = found[-1].pk
            self._void(partner, [event.pk for event in found])

    def _void(self, partner: Partner, wanted: Sequence[uuid.UUID]) -> None:
        """Mark those of the events that are simulated, and take from the totals what was added of them."""
        with transaction.atomic(using=self._using):
            state = lock_singleton(RollupState, using=self._using)
            events = list(Event.objects.using(self._using).filter(pk__in=wanted).select_for_update().order_by("pk"))
            visitors = self._simulated_visitors(partner, [event.visitor for event in events if event.visitor])
            chosen = [
                event for event in events if not voiding.is_void(event) and _is_simulated(event, visitors=visitors)
            ]
            rolled_up = [event for event in chosen if event.seq is not None and event.seq <= state.seq]
            rollups.take_back(rolled_up, using=self._using)
            voiding.void(chosen, using=self._using)
            self.counts["events marked void"] += len(chosen)

    def _simulated_visitors(self, partner: Partner, wanted: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        hits = ReferralHit.objects.using(self._using).filter(visitor__in=wanted, partner=partner)
        return {pk for pk, click in hits.values_list("visitor", "click_id") if stamps.run_of(click) is not None}

    # --- rows -----------------------------------------------------------------------------------------------------------

    def _remove_hits(self, partner: Partner) -> None:
        last: uuid.UUID | None = None
        done = 0
        while True:
            hits = ReferralHit.objects.using(self._using).filter(partner=partner, click_id__startswith=stamps.PREFIX)
            rows = (hits if last is None else hits.filter(pk__gt=last)).order_by("pk").values_list("pk", "click_id")
            found = list(rows[:BATCH])
            if not found:
                return
            last = found[-1][0]
            self._remove([pk for pk, click in found if stamps.run_of(click) is not None])
            done += len(found)
            self._progress(done)

    def _remove(self, wanted: Sequence[uuid.UUID]) -> None:
        """Remove hits with all that hangs on them. Locked in the order of claims and confirmations."""
        using = self._using
        with transaction.atomic(using=using):
            lock_singleton(RollupState, using=using)
            visitors = self._locked_visitors(wanted)
            hits = ReferralHit.objects.using(using).filter(pk__in=wanted)
            rows = list(hits.select_related("link", "partner").select_for_update(of=("self",)).order_by("pk"))
            if log.bounds().oldest:
                rollups.take_back(self._forgotten(rows), using=using)
            confirmations = Confirmation.objects.using(using).filter(hit__in=wanted)
            self._delete("deliveries", Delivery.objects.using(using).filter(confirmation__in=confirmations))
            self._delete("reversals", Reversal.objects.using(using).filter(confirmation__in=confirmations))
            self._delete("confirmations", confirmations)
            self._delete("hits", hits)
            idle = Visitor.objects.using(using).filter(pk__in=visitors, hits=None, confirmations=None)
            self._delete(
                "visitors", Visitor.objects.using(using).filter(pk__in=list(idle.values_list("pk", flat=True)))
            )

    def _locked_visitors(self, hits: Sequence[uuid.UUID]) -> list[uuid.UUID]:
        of_hits = ReferralHit.objects.using(self._using).filter(pk__in=hits, visitor__isnull=False).values("visitor")
        rows = Visitor.objects.using(self._using).filter(pk__in=of_hits).order_by("pk").select_for_update(no_key=True)
        return list(rows.values_list("pk", flat=True))

    def _forgotten(self, hits: Sequence[ReferralHit]) -> list[Entry]:
        """Return what the log has forgotten of these hits, from their rows; a claim that it has forgotten stays counted."""
        using = self._using
        confirmations = Confirmation.objects.using(using).filter(hit__in=hits)
        confirmed = list(confirmations.select_related("hit__link", "hit__partner", "partner"))
        with_all = Reversal.objects.using(using).select_related("confirmation__hit__link", "confirmation__hit__partner")
        reversals = with_all.select_related("confirmation__partner").filter(confirmation__in=confirmed)
        there = Event.objects.using(using).filter(
            Q(type=EventType.HIT, data__hit__in=[str(hit.pk) for hit in hits])
            | Q(type__in=COUNTED, data__confirmation__in=[str(row.pk) for row in confirmed])
        )
        known = {_key(event) for event in there}
        told = [
            *(entries.hit_entry(hit) for hit in hits if not hit.bot),
            *map(entries.confirmation_entry, confirmed),
            *map(entries.reversal_entry, reversals),
        ]
        return [entry for entry in told if _key(entry) not in known]

    def _delete(self, what: str, rows: QuerySet[Any]) -> None:
        _total, by_model = rows.delete()
        self.counts[what] += by_model.get(rows.model._meta.label, 0)

    # --- users and the partner ------------------------------------------------------------------------------------------

    def _remove_users(self) -> None:
        users = _simulated_users()
        for start in range(0, len(users), BATCH):
            self._remove_some_users(users[start : start + BATCH])

    def _remove_some_users(self, users: Sequence[Any]) -> None:
        """Remove some users, as the host's own code would; the host's rows may stand in the way."""
        rows = get_user_model()._base_manager.filter(pk__in=[user.pk for user in users])
        try:
            with transaction.atomic(using=rows.db):
                self._forget(users)
                self._delete("users", rows)
        except ProtectedError as error:
            kinds = sorted({str(row._meta.verbose_name_plural) for row in error.protected_objects})
            self.kept.append(
                f"{len(users)} users: their {', '.join(kinds)} protect them. A journey's forget() can remove those."
            )

    def _remove_partner(self, partner: Partner) -> None:
        """Remove the partner with what was owed to it, unless somebody else has followed its links."""
        using = self._using
        with transaction.atomic(using=using):
            lock_singleton(RollupState, using=using)
            real = ReferralHit.objects.using(using).filter(partner=partner).count()
            if real:
                self.kept.append(f"The partner {partner.uid}: {real} hits on its links are not simulated.")
                return
            links = list(partner.links.using(using).values_list("pk", flat=True))
            subscriptions = partner.subscriptions.using(using)
            Delivery.objects.using(using).filter(subscription__in=subscriptions.all()).delete()
            Replay.objects.using(using).filter(subscription__in=subscriptions.all()).delete()
            for model, (name, *_rest) in rollups.PLACES.items():
                whose = {"partner": [partner.uid], "link": links}.get(name)
                if whose is not None:
                    model._default_manager.using(using).filter(**{f"{name}__in": whose}).delete()
            rollups.drop_noughts(using=using)
            partner.delete(using=using)
            self.counts["partners"] += 1


def _is_simulated(event: Event, *, visitors: Collection[uuid.UUID]) -> bool:
    """Whether an event is of a simulated visitor: claims alone say nothing of the click."""
    if event.type == EventType.CLAIM:
        return event.visitor in visitors
    return stamps.run_of(event.data.get("click_id") or "") is not None


def _key(told: Event | Entry) -> tuple[str, str, datetime]:
    """Return what tells events of hits, confirmations and reversals apart."""
    return told.type, str(told.data.get("confirmation") or told.data.get("hit")), told.occurred_at


def _simulated_users() -> list[Any]:
    """Return the users that simulated visitors have made, by the name or the address that they gave."""
    model = get_user_model()
    names = {name for name in (model.USERNAME_FIELD, model.get_email_field_name()) if _has_field(model, name)}
    wanted = Q()
    for name in names:
        wanted |= Q(**{f"{name}__startswith": stamps.PREFIX})
    return [
        user
        for user in model._base_manager.filter(wanted).order_by("pk")
        if any(stamps.run_of(str(getattr(user, name)).partition("@")[0]) for name in names)
    ]


def _has_field(model: Any, name: str) -> bool:
    return any(field.name == name for field in model._meta.concrete_fields)
