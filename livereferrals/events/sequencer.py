"""The sequencer: numbers committed events, in one short transaction under one lock row.

Readers that go by `id > last seen` lose rows when transactions commit out of order, because a smaller id can become
visible later. A number given after the commit, under a lock, cannot: whoever sees `seq` n sees everything below it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections, router
from django.utils import timezone

from livereferrals.events import direct
from livereferrals.events.fresh import fresh
from livereferrals.events.locking import SINGLETON, lock_singleton
from livereferrals.events.logged import column_list, logged
from livereferrals.events.models import Event, EventLog
from livereferrals.events.numbering_postgres import lock_and_number
from livereferrals.events.pipelines import can_pipeline
from livereferrals.events.write_lock import write_transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

BATCH = 1000
"""Events numbered in one transaction at most, so that the lock is never held long."""

WAITS = "SELECT 1 FROM {table} WHERE seq IS NULL LIMIT 1"
NUMBER = """
    UPDATE {table} SET seq = %s + chosen.place, numbered_at = %s
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS place
          FROM (SELECT id FROM {table} WHERE seq IS NULL ORDER BY id LIMIT %s) AS waiting) AS chosen
    WHERE {table}.id = chosen.id
"""
FORWARD = "UPDATE {log} SET head = head + %s, last_numbered_at = %s WHERE id = %s"
LOG = ", ".join(direct.STATE)


class Numbered(NamedTuple):
    """What one transaction has numbered."""

    log: Sequence[Any]
    """The log before it: the columns of `LOG`."""
    rows: Sequence[Sequence[Any]]
    """The events, where somebody wants them."""
    number: int


def number_events(*, is_expected: bool = False) -> int:
    """Number everything that is committed and has no number; return how many events that were.

    Safe to call from any number of threads and processes. One cheap query when there is nothing to do, unless there
    `is_expected` to be something.
    """
    alias = router.db_for_write(Event)
    total = 0
    while is_expected or _does_any_wait(alias):
        is_expected = False
        numbered = _number_batch(alias)
        total += numbered
        if numbered < BATCH:
            break
    return total


def _does_any_wait(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        cursor.execute(WAITS.format(table=Event._meta.db_table))
        return cursor.fetchone() is not None


def _number_batch(alias: str) -> int:
    """Number up to `BATCH` events in one transaction.

    Statements of our own: this stands between each commit and its readers.
    """
    connection = connections[alias]
    tells = fresh.is_wanted and connection.features.can_return_rows_from_bulk_insert
    numbering = _in_one_journey if can_pipeline(connection) else _step_by_step
    log, rows, numbered = numbering(connection, tells=tells)
    if numbered and tells and not connection.in_atomic_block:
        direct.keep(direct.State._make(log), partial(logged, rows, using=alias))
    return numbered


def _in_one_journey(connection: BaseDatabaseWrapper, *, tells: bool) -> Numbered:
    log, rows = lock_and_number(connection, columns=LOG, limit=BATCH, tells=tells)
    if log is None:  # a flush of the tables took the row away
        return _step_by_step(connection, tells=tells)
    return Numbered(log, rows, len(rows) if tells else rows[0][0])


def _step_by_step(connection: BaseDatabaseWrapper, *, tells: bool) -> Numbered:
    with write_transaction(connection.alias):
        return _numbered(connection, tells=tells)


def _numbered(connection: BaseDatabaseWrapper, *, tells: bool) -> Numbered:
    row = lock_singleton(EventLog, using=connection.alias)
    now, last = timezone.now(), row.last_numbered_at
    # `since` in the feed relies on this time never going back, even if a clock does.
    stamp = connection.ops.adapt_datetimefield_value(now if last is None else max(now, last))
    returning = f" RETURNING {column_list(using=connection.alias)}" if tells else ""
    with connection.cursor() as cursor:
        cursor.execute(NUMBER.format(table=Event._meta.db_table) + returning, [row.head, stamp, BATCH])
        rows = cursor.fetchall() if tells else []
        numbered: int = len(rows) if tells else cursor.rowcount
        if numbered:
            cursor.execute(FORWARD.format(log=EventLog._meta.db_table), [numbered, stamp, SINGLETON])
    return Numbered((row.epoch, row.head, row.oldest, row.revision, row.house_key), rows, numbered)
