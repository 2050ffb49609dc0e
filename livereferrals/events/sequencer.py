"""The sequencer: numbers committed events, in one short transaction under one lock row.

Readers that go by `id > last seen` lose rows when transactions commit out of order, because a smaller id can become
visible later. A number given after the commit, under a lock, cannot: whoever sees `seq` n sees everything below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections, router, transaction
from django.db.models import F
from django.utils import timezone

from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import Event, EventLog

if TYPE_CHECKING:
    from datetime import datetime

BATCH = 1000
"""Events numbered in one transaction at most, so that the lock is never held long."""

NUMBER = """
    UPDATE {table} SET seq = %s + chosen.place, numbered_at = %s
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS place
          FROM (SELECT id FROM {table} WHERE seq IS NULL ORDER BY id LIMIT %s) AS waiting) AS chosen
    WHERE {table}.id = chosen.id
"""


def number_events() -> int:
    """Number everything that is committed and has no number; return how many events that were.

    Safe to call from any number of threads and processes. One cheap query when there is nothing to do.
    """
    alias = router.db_for_write(Event)
    total = 0
    while Event.objects.using(alias).filter(seq__isnull=True).exists():
        numbered = _number_batch(alias)
        total += numbered
        if numbered < BATCH:
            break
    return total


def _number_batch(alias: str) -> int:
    """Number up to `BATCH` events: one transaction, three statements."""
    connection = connections[alias]
    with transaction.atomic(using=alias):
        log = lock_singleton(EventLog, using=alias)
        now = _database_time(alias)
        # `since` in the feed relies on this time never going back, even if a clock does.
        stamp = now if log.last_numbered_at is None else max(now, log.last_numbered_at)
        stamp_value = connection.ops.adapt_datetimefield_value(stamp)
        with connection.cursor() as cursor:
            cursor.execute(NUMBER.format(table=Event._meta.db_table), [log.head, stamp_value, BATCH])
            numbered: int = cursor.rowcount
        if numbered:
            EventLog.objects.using(alias).filter(pk=log.pk).update(head=F("head") + numbered, last_numbered_at=stamp)
    return numbered


def _database_time(alias: str) -> datetime:
    """Return the time that all processes agree on: PostgreSQL's clock, on SQLite the machine's."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found
