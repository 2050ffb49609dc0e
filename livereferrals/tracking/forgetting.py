"""Forgetting people: by request, when a user is deleted, and when what is personal has become old.

Hits and confirmations stay, with their partners, amounts and times: they are somebody's money. What leads to a person
goes. Rows are locked in the order of claims and confirmations: visitors, hits, confirmations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Left, StrIndex

from livereferrals.tracking.models import Confirmation, ReferralHit, ReferralLink, Reversal, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

CHUNK: Final = 500
"""Rows named in one statement, and handled in one transaction, at most."""
WITHOUT_QUERY: Final = Case(
    When(entry_url__contains="?", then=Left("entry_url", StrIndex("entry_url", Value("?")) - 1)), default=F("entry_url")
)
FORGOTTEN: Final[dict[str, Any]] = {"ip": None, "user_agent": "", "referer": "", "entry_url": WITHOUT_QUERY}
"""What becomes of a hit's personal fields."""
STILL_KNOWN: Final = Q(ip__isnull=False) | ~Q(user_agent="") | ~Q(referer="") | Q(entry_url__contains="?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What is stored of one person."""

    visitors: list[uuid.UUID]
    hits: list[uuid.UUID]
    confirmations: list[uuid.UUID]


def lock(user_pk: Any) -> Traces:
    """Return what is stored of a user, locked for the caller's transaction. Three queries.

    Whoever records, claims or confirms for this person at the same time has either committed, or waits and finds the
    visitors gone.
    """
    visitors = list(
        _rows(Visitor).filter(user=user_pk).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    )
    whose = Q(user=user_pk) | Q(visitor__in=_rows(Visitor).filter(user=user_pk))
    hits = list(
        _rows(ReferralHit).filter(whose).order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True)
    )
    found = _rows(Confirmation).filter(whose).order_by("pk").select_for_update(no_key=True)
    return Traces(visitors=visitors, hits=hits, confirmations=list(found.values_list("pk", flat=True)))


def erase(traces: Traces, *, user_pk: Any) -> None:
    """Unlink hits and confirmations from the person, empty what is personal in them, and remove the visitors.

    The person's own links stay, belong to nobody, and count nothing any more (L-63). In the caller's transaction, which
    holds the rows.
    """
    _unname_confirmations(traces.confirmations, user=None, visitor=None)
    for chunk in _chunks(traces.hits):
        _rows(ReferralHit).filter(pk__in=chunk).update(user=None, visitor=None, **{**FORGOTTEN, "entry_url": ""})
    for chunk in _chunks(traces.visitors):
        _rows(Visitor).filter(pk__in=chunk).delete()
    _rows(ReferralLink).filter(user=user_pk).update(user=None, name="", notes="")


def unname(traces: Traces) -> None:
    """Empty what is personal in the hits and confirmations of a user who is deleted; the rows stay tied to visitors."""
    _unname_confirmations(traces.confirmations)
    for chunk in _chunks(traces.hits):
        _rows(ReferralHit).filter(pk__in=chunk).update(**FORGOTTEN)


def _unname_confirmations(found: Sequence[uuid.UUID], **unlinked: None) -> None:
    """Empty what the host has attached, who is named in the trace, and what staff have noted of reversals."""
    for chunk in _chunks(found):
        rows = list(_rows(Confirmation).filter(pk__in=chunk).only("pk", "trace"))
        for row in rows:
            subject = row.trace.get("subject")
            if subject is not None:
                row.trace = {**row.trace, "subject": {**subject, "user": None, "visitors": []}}
        _rows(Confirmation).bulk_update(rows, ["trace"], batch_size=100)
        _rows(Confirmation).filter(pk__in=chunk).update(extra=None, **unlinked)
        _rows(Reversal).filter(confirmation__in=chunk).update(note="")


# --- by age ---------------------------------------------------------------------------------------------------------------


def forget_old_hits(*, before: datetime) -> Iterator[int]:
    """Empty agent, referer, address and the query of the page in hits from before a time (Y-02), in batches.

    Each is one query along the index of times, and one statement; what was emptied by an earlier run is passed by.
    """
    since = None
    while True:
        rows = old_hits(before=before)
        if since is not None:
            rows = rows.filter(created_at__gte=since)
        found = list(rows.order_by("created_at").values_list("pk", "created_at")[:CHUNK])
        if not found:
            return
        since = found[-1][1]
        yield _rows(ReferralHit).filter(pk__in=[pk for pk, _ in found]).update(**FORGOTTEN)


def old_hits(*, before: datetime) -> QuerySet[ReferralHit]:
    """Return the hits that `forget_old_hits` empties. No query yet."""
    rows: QuerySet[ReferralHit] = _rows(ReferralHit).filter(STILL_KNOWN, created_at__lt=before)
    return rows


def remove_old_visitors(*, before: datetime) -> Iterator[int]:
    """Remove visitors of nobody that were first seen before a time and have done nothing since (Y-02), in batches.

    Who has a confirmation stays, and so does who has followed a link since. Their hits stay, of no visitor.
    """
    last = None
    while True:
        rows = old_visitors(before=before)
        if last is not None:
            rows = rows.filter(pk__gt=last)
        found = list(rows.order_by("pk").values_list("pk", flat=True)[:CHUNK])
        if not found:
            return
        last = found[-1]
        yield _remove_visitors(found, before=before)


def old_visitors(*, before: datetime) -> QuerySet[Visitor]:
    """Return the visitors that `remove_old_visitors` removes. No query yet."""
    since = ReferralHit.objects.filter(created_at__gte=before, visitor__isnull=False).values("visitor")
    confirmed = Confirmation.objects.filter(visitor__isnull=False).values("visitor")
    rows: QuerySet[Visitor] = _rows(Visitor).filter(claimed_at__isnull=True, user__isnull=True, created_at__lt=before)
    return rows.exclude(pk__in=since).exclude(pk__in=confirmed)


def _remove_visitors(found: Sequence[uuid.UUID], *, before: datetime) -> int:
    """Remove those that are still idle once they and their hits are locked: a confirmation locks its hit first."""
    with transaction.atomic(using=router.db_for_write(Visitor)):
        locked = _rows(Visitor).filter(pk__in=found).select_for_update(skip_locked=True, no_key=True)
        mine = list(locked.values_list("pk", flat=True))
        list(
            _rows(ReferralHit).filter(visitor__in=mine).order_by("pk").select_for_update(no_key=True).values_list("pk")
        )
        idle = list(old_visitors(before=before).filter(pk__in=mine).values_list("pk", flat=True))
        _rows(Visitor).filter(pk__in=idle).delete()
    return len(idle)


def _rows(model: Any) -> Any:
    return model._default_manager.using(router.db_for_write(model))


def _chunks(found: Sequence[uuid.UUID]) -> Iterator[Sequence[uuid.UUID]]:
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]
