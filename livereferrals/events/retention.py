"""Retention: the log forgets its oldest events, and readers can tell.

The log's `oldest` moves before the events go, so that a reader either finds every event after its place or hears that
there is a hole (feed protocol, 8). Each step is one short statement: no writer and no numbering waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import router

from livereferrals.events import log
from livereferrals.events.models import Event, EventLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

BATCH: Final = 1000
"""Events removed in one statement at most."""


def prune(*, before: datetime, upto: int) -> Iterator[int]:
    """Remove the events numbered before a time, oldest first; give the number of each batch once it is gone.

    Nothing happens between two batches unless the caller asks for the next one: it may pause there, report, or stop. A
    run that was killed is finished by the next one. Four short statements for each batch.

    Args:
        before: events numbered then or later are kept, and all after the first such one.
        upto: the last event that may go: what is after it, somebody still has to read (the rollups).
    """
    while True:
        # What a killed run has left: below `oldest` nobody can ask for it.
        oldest = log.bounds().oldest
        while removed := _remove_batch(oldest):
            yield removed
        if not _move_oldest(before=before, upto=upto):
            return


def prunable(*, before: datetime, upto: int) -> int:
    """Return how many events `prune` would remove. Two queries, no write."""
    events = Event.objects.using(_alias()).filter(seq__lte=upto)
    kept = events.filter(numbered_at__gte=before, seq__gt=log.bounds().oldest).order_by("seq")
    first_kept = kept.values_list("seq", flat=True).first()
    return (events if first_kept is None else events.filter(seq__lt=first_kept)).count()


def _move_oldest(*, before: datetime, upto: int) -> bool:
    """Let the log begin later, by one batch; return whether it does."""
    oldest = log.bounds().oldest
    found = Event.objects.using(_alias()).filter(seq__gt=oldest, seq__lte=upto).order_by("seq")
    last = oldest
    for seq, numbered_at in found.values_list("seq", "numbered_at")[:BATCH]:
        if seq is None or numbered_at is None or numbered_at >= before:
            break
        last = seq
    # Of two that prune at once, neither moves it back.
    rows = EventLog.objects.using(_alias()).filter(pk=EventLog.SINGLETON, oldest__lt=last, head__gte=last)
    return bool(rows.update(oldest=last))


def _remove_batch(oldest: int) -> int:
    events = Event.objects.using(_alias()).filter(seq__lte=oldest)
    last = list(events.order_by("seq").values_list("seq", flat=True)[:BATCH])
    if not last:
        return 0
    removed, _ = events.filter(seq__lte=last[-1]).delete()
    return removed


def _alias() -> str:
    return router.db_for_write(Event)
