"""Numbers that a transaction gives to its own events, where nobody's wait for one.

What keeps the log in order is that numbers are given under the lock of its row, until the commit (see `sequencer`). A batch of
hits that finds the lock free takes it and numbers itself: its events are written once, and not again a moment later. It
waits for nobody. Where the lock is taken, or something that is committed has no number yet, which would be passed, it
leaves its events to the sequencer.

Only for transactions of one journey: nobody holds the lock while a client thinks. And on PostgreSQL only now and then, or
for many events: as long as somebody reads an old snapshot, as a backup does for an hour, the log's row keeps every state that it
has had since, and whoever changes it goes through them all.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.utils import timezone

from livereferrals.events.fresh import Batch, fresh
from livereferrals.events.locking import SINGLETON
from livereferrals.events.models import Event, EventLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.events.logged import Logged

MANY: Final = 16
"""So many events are numbered with their batch, however soon after the last one."""
APART_S: Final = 0.01
"""Fewer are not, before so much time has gone by: the sequencer numbers them with those that come after."""
STATE: Final = ("epoch", "head", "oldest", "revision", "house_key")


class State(NamedTuple):
    """The log as it was before a batch that has numbered itself."""

    epoch: str
    head: int
    oldest: int
    revision: int
    house_key: str


def keep(state: State, events: Callable[[], list[Logged]]) -> None:
    """Hand a committed batch to those in this process who follow the log, if anybody does."""
    if fresh.is_wanted:
        epoch, head, oldest, revision, house_key = state
        fresh.keep(
            Batch(
                epoch=epoch, before=head, oldest=oldest, revision=revision, house_key=house_key, events=events()
            )
        )  # fmt: skip


class Pace:
    """How often a process numbers its batches with them."""

    def __init__(self) -> None:
        self._last = float("-inf")

    def allows(self, events: int) -> bool:
        """Whether a batch of so many events is to be numbered with it; it counts as done then."""
        now = time.monotonic()
        if not events or (events < MANY and now - self._last < APART_S):
            return False
        self._last = now
        return True


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------

# The first one in the order of an index: by the statistics, which are always old, a plan that goes through all events can
# look cheap for "is there any".
WAITING: Final = "(SELECT id FROM {table} WHERE seq IS NULL ORDER BY id LIMIT 1)"
LOCKED: Final = """
    SELECT {state}, greatest(clock_timestamp(), last_numbered_at) AS stamp FROM {log}
    WHERE id = {singleton} AND ({wanted}) > 0 AND {waiting} IS NULL
      AND current_setting('transaction_isolation') = 'read committed'
    FOR UPDATE SKIP LOCKED
"""
FORWARD: Final = """
    UPDATE {log} SET head = {state}.head + found.number, last_numbered_at = {state}.stamp
    FROM {state}, ({wanted}) AS found(number) WHERE {log}.id = {singleton}
"""


def locked(wanted: str) -> str:
    """Return the query that takes the lock, and gives the log's `STATE` and the `stamp` of its next numbers, or no row.

    Args:
        wanted: a query of how many events are to be numbered: none, and the lock is left alone.
    """
    # Under REPEATABLE READ a row that has changed since the transaction's snapshot cannot be locked.
    log, table = EventLog._meta.db_table, Event._meta.db_table
    waiting = WAITING.format(table=table)
    return LOCKED.format(state=", ".join(STATE), log=log, singleton=SINGLETON, wanted=wanted, waiting=waiting)


def forward(state: str, wanted: str) -> str:
    """Return the statement that moves the log's head on; nothing happens where `state`, the rows of `locked`, has none."""
    return FORWARD.format(log=EventLog._meta.db_table, state=state, wanted=wanted, singleton=SINGLETON)


# --- SQLite ---------------------------------------------------------------------------------------------------------------

READ: Final = """
    SELECT {state}, last_numbered_at FROM {log}
    WHERE id = {singleton} AND NOT EXISTS (SELECT 1 FROM {table} WHERE seq IS NULL)
"""
WRITE: Final = "UPDATE {log} SET head = head + ?, last_numbered_at = ? WHERE id = {singleton}"


class OnSqlite:
    """The same for a transaction that has SQLite's write lock, over a connection of Django's."""

    def __init__(self, connection: Any) -> None:
        names = {"log": EventLog._meta.db_table, "table": Event._meta.db_table, "singleton": SINGLETON}
        self._read = READ.format(state=", ".join(STATE), **names)
        self._write = WRITE.format(**names)
        self._connection = connection

    def state(self, raw: Any) -> tuple[State, str] | None:
        """Return the log and the time of its next numbers, or nothing where others wait for theirs."""
        row = raw.execute(self._read).fetchone()
        if row is None:
            return None
        *state, said = row
        ops, now = self._connection.ops, timezone.now()
        last = ops.convert_datetimefield_value(said, None, self._connection)
        return State._make(state), ops.adapt_datetimefield_value(now if last is None else max(now, last))

    def forward(self, raw: Any, *, number: int, stamp: str) -> None:
        """Move the log's head on."""
        raw.execute(self._write, (number, stamp))
