"""Erasure in the log: events stay in their places and no longer lead to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.db.models import F, Q

from livereferrals.events.extras import KEY as EXTRA
from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import Event, EventLog

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence

BATCH: Final = 500
"""Events changed in one transaction at most, so that the sequencer's lock is never held long."""
PERSONAL: Final = ("user", "visitor", "landing", "referrer_host", EXTRA)
"""Fields of an event's data that lead to a person, the host's own included."""
NAMING: Final = ("user", EXTRA)
"""Those of them that are about a user, and not about a browser."""


def erase(*, user: str, visitors: Iterable[uuid.UUID]) -> int:
    """Empty what leads to the user or the visitors in all their events; return how many events that were.

    Numbers, and so cursors, stay. Hubs hear of it by the log's `revision` and drop what they have encoded. One short
    transaction for each batch, under the sequencer's lock: numbering changes rows of the same table.
    """
    total = _erase(Q(user=user), PERSONAL) if user else 0
    return total + sum(_erase(Q(visitor__in=chunk), PERSONAL) for chunk in _chunks(list(visitors)))


def unname(*, user: str) -> int:
    """Empty what names the user in its events, and keep the visitors; return how many events that were."""
    return _erase(Q(user=user), NAMING) if user else 0


def _erase(whose: Q, fields: Sequence[str]) -> int:
    total = 0
    while done := _erase_batch(whose, fields):
        total += done
    return total


def _erase_batch(whose: Q, fields: Sequence[str]) -> int:
    alias = router.db_for_write(Event)
    events = Event.objects.using(alias).filter(whose)
    if not events.exists():
        return 0
    with transaction.atomic(using=alias):
        log = lock_singleton(EventLog, using=alias)
        rows = list(events.order_by("pk")[:BATCH])
        for row in rows:
            _empty(row, fields)
        Event.objects.using(alias).bulk_update(rows, ["user", "visitor", "data"], batch_size=100)
        EventLog.objects.using(alias).filter(pk=log.pk).update(revision=F("revision") + 1)
    return len(rows)


def _empty(row: Event, fields: Sequence[str]) -> None:
    data: dict[str, Any] = row.data
    row.data = {name: None if name in fields else value for name, value in data.items()}
    row.user = ""
    if "visitor" in fields:
        row.visitor = None


def _chunks(found: Sequence[uuid.UUID]) -> Iterator[Sequence[uuid.UUID]]:
    for start in range(0, len(found), BATCH):
        yield found[start : start + BATCH]
