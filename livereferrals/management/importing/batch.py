"""The rows that a batch of old hits becomes, and writing them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livereferrals.management.importing import confirmed, totals, writing
from livereferrals.tracking.models import Confirmation, Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection
    from datetime import datetime

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.reporting import Tally
    from livereferrals.management.importing.running import Job
    from livereferrals.management.importing.totals import Happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose link a hit was made on."""

    identifier: str
    uid: str | None = None
    """The partner's, if it has one."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """Rows to be written."""

    visitors: dict[uuid.UUID, Visitor] = field(default_factory=dict)
    hits: list[ReferralHit] = field(default_factory=list)
    confirmations: list[Confirmation] = field(default_factory=list)
    belated: list[ReferralHit] = field(default_factory=list)
    """Hits of an earlier run that have been confirmed since."""
    claimed: list[ReferralHit] = field(default_factory=list)
    """Hits of an earlier run whose visitor has logged in since; they have their user already."""
    happened: list[Happened] = field(default_factory=list)

    def add_hit(self, hit: ReferralHit, visitor: Visitor, *, place: Place) -> None:
        """Add a hit of this visitor."""
        hit.visitor_id = visitor.pk
        self.visitors[visitor.pk] = visitor
        self.hits.append(hit)
        self.happened.append(totals.of_hit(hit, partner=place.uid or ""))

    def add_confirmation(self, made: Confirmation, hit: ReferralHit, *, is_there: bool, place: Place) -> None:
        """Add the confirmation of a hit; `is_there`: the hit was imported by an earlier run."""
        if hit.confirmed_at is None:
            hit.confirmed_at = made.occurred_at
            if is_there:
                self.belated.append(hit)
        self.confirmations.append(made)
        self.happened.append(totals.of_confirmation(made, link=hit.link_id, partner=place.uid or ""))

    def settle(self, state: RollupState | None, *, job: Job, hits: Tally, confirmations: Tally) -> None:
        """Write the rows and count them; in a dry run, without the lock, count what would be written.

        Four statements and those of the totals, whatever the number of rows; two for each hit claimed since.
        """
        if state is None:
            hits.imported += len(self.hits)
            confirmations.imported += len(self.confirmations)
            return
        using = job.using
        writing.insert(list(self.visitors.values()), using=using)
        hits.imported += writing.insert(self.hits, using=using)
        confirmations.imported += writing.insert(self.confirmations, using=using)
        if self.belated:
            ReferralHit.objects.using(using).bulk_update(self.belated, ["confirmed_at"])
        for hit in self.claimed:
            _claim(hit, at=job.moments.now, using=using)
        totals.add(self.happened, state=state, using=using)


def _claim(hit: ReferralHit, *, at: datetime, using: str) -> None:
    """Give a hit's visitor to the hit's user, unless it is somebody's; without an event, like all that is imported."""
    visitors = Visitor.objects.using(using).filter(hits=hit, user__isnull=True, claimed_at__isnull=True)
    if visitors.update(user_id=hit.user_id, claimed_at=at):
        hits = ReferralHit.objects.using(using).filter(pk=hit.pk, user__isnull=True)
        hits.update(user_id=hit.user_id, self_referral=hit.self_referral)


class Confirmations:
    """The successes that an old package had noted beside its hits."""

    def __init__(self, job: Job, tally: Tally) -> None:
        self._job = job
        self.tally = tally

    def standing(self, hits: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Return those of the hits whose confirmation is imported. One query, none for no hits."""
        if not hits:
            return set()
        found = Confirmation.objects.using(self._job.using).filter(hit__in=hits, origin=Origin.IMPORT)
        return set(found.values_list("hit_id", flat=True))

    def take(
        self,
        key: object,
        value: Any,
        *,
        hit: ReferralHit | None,
        place: Place | None,
        trigger: str,
        standing: Collection[uuid.UUID],
        is_there: bool,
        batch: Batch,
    ) -> None:
        """Import one: `value` is its time as the old table has it."""
        self.tally.read += 1
        at = self._job.moments.read(value)
        if hit is not None and hit.pk in standing:
            self.tally.there += 1
        elif hit is None or place is None:
            self.tally.skip(key, "the hit is not imported")
        elif at is None:
            self.tally.skip(key, "the time cannot be read")
        else:
            made = confirmed.confirmation(
                hit, trigger=trigger, at=at, now=self._job.moments.now, identifier=place.identifier, uid=place.uid
            )
            batch.add_confirmation(made, hit, is_there=is_there, place=place)
