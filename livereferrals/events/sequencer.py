"""The sequencer: numbers committed events, in one short transaction under one lock row.

Readers that go by `id > last seen` lose rows when transactions commit out of order, because a smaller id can become
visible later. A number given after the commit, under a lock, cannot: whoever sees `seq` n sees everything below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections, router, transaction
from django.utils import timezone

from livereferrals.events.fresh import Batch, fresh
from livereferrals.events.locking import SINGLETON, lock_singleton
from livereferrals.events.logged import column_list, logged
from livereferrals.events.models import Event, EventLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

BATCH = 1000
"""Events numbered in one transaction at most, so that the lock is never held long."""

NUMBER = """
    UPDATE {table} SET seq = %s + chosen.place, numbered_at = %s
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS place
          FROM (SELECT id FROM {table} WHERE seq IS NULL ORDER BY id LIMIT %s) AS waiting) AS chosen
    WHERE {table}.id = chosen.id
"""
FORWARD = "UPDATE {log} SET head = head + %s, last_numbered_at = %s WHERE id = %s"
LOG = "epoch, head, oldest, revision, house_key, last_numbered_at"


def number_events(*, is_expected: bool = False) -> int:
    """Number everything that is committed and has no number; return how many events that were.

    Safe to call from any number of threads and processes. One cheap query when there is nothing to do, unless there
    `is_expected` to be something.
    """
    alias = router.db_for_write(Event)
    total = 0
    while is_expected or Event.objects.using(alias).filter(seq__isnull=True).exists():
        is_expected = False
        numbered = _number_batch(alias)
        total += numbered
        if numbered < BATCH:
            break
    return total


def _number_batch(alias: str) -> int:
    """Number up to `BATCH` events: one transaction, three statements.

    Statements of our own: this stands between each commit and its readers.
    """
    connection = connections[alias]
    tells = fresh.is_wanted and connection.features.can_return_rows_from_bulk_insert
    returning = f" RETURNING {column_list(using=alias)}" if tells else ""
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        *log, last, now = _locked(cursor, connection)
        head = log[1]
        # `since` in the feed relies on this time never going back, even if a clock does.
        stamp = connection.ops.adapt_datetimefield_value(now if last is None else max(now, last))
        cursor.execute(NUMBER.format(table=Event._meta.db_table) + returning, [head, stamp, BATCH])
        rows = cursor.fetchall() if tells else []
        numbered: int = len(rows) if tells else cursor.rowcount
        if numbered:
            cursor.execute(FORWARD.format(log=EventLog._meta.db_table), [numbered, stamp, SINGLETON])
    if numbered and tells and not connection.in_atomic_block:
        _tell(log, rows, alias=alias)
    return numbered


def _tell(log: Sequence[Any], rows: Sequence[Sequence[Any]], *, alias: str) -> None:
    epoch, head, oldest, revision, house_key = log
    fresh.keep(
        Batch(
            epoch=epoch,
            before=head,
            oldest=oldest,
            revision=revision,
            house_key=house_key,
            events=logged(rows, using=alias),
        )
    )


def _locked(cursor: CursorWrapper, connection: BaseDatabaseWrapper) -> Sequence[Any]:
    """Lock the log's row for this transaction; return what `LOG` names, and the time that all processes agree on.

    That is PostgreSQL's clock, on SQLite the machine's.
    """
    table = EventLog._meta.db_table
    if connection.vendor == "postgresql":
        cursor.execute(f"SELECT {LOG}, clock_timestamp() FROM {table} WHERE id = {SINGLETON} FOR UPDATE")  # noqa: S608 - our own names
        found = cursor.fetchone()
        if found is not None:
            return tuple(found)
    row = lock_singleton(EventLog, using=connection.alias)
    return (row.epoch, row.head, row.oldest, row.revision, row.house_key, row.last_numbered_at, timezone.now())
