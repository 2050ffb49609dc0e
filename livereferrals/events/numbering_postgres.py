"""Numbering on PostgreSQL: one journey. The lock is held for no journey at all.

What travels together outside of a transaction is one of its own, from the first statement to the end of the journey
(PostgreSQL docs, 32.5.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from livereferrals.events.locking import SINGLETON
from livereferrals.events.logged import column_list
from livereferrals.events.models import Event, EventLog
from livereferrals.events.pipelines import together

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

# Of a table that grows this fast the statistics are always old: by them a plan that goes through all that ever had no
# number looks cheap. In the order of the index it is never more than what waits.
PLAN: Final = "SELECT " + ", ".join(
    f"set_config('enable_{way}', 'off', true)" for way in ("bitmapscan", "seqscan", "sort")
)
LOCK: Final = "SELECT {columns} FROM {log} WHERE id = %s FOR UPDATE"
# A statement of its own: it sees what was committed while the one before waited for the lock.
NUMBER: Final = """
    WITH state AS (SELECT head, greatest(clock_timestamp(), last_numbered_at) AS stamp FROM {log} WHERE id = %(log)s),
    chosen AS (
        SELECT id, row_number() OVER (ORDER BY id) AS place
        FROM (SELECT id FROM {table} WHERE seq IS NULL ORDER BY id LIMIT %(limit)s) AS waiting
    ),
    numbered AS (
        UPDATE {table} SET seq = state.head + chosen.place, numbered_at = state.stamp
        FROM chosen, state WHERE {table}.id = chosen.id RETURNING {returned}
    ),
    forward AS (
        UPDATE {log} SET head = {log}.head + found.number, last_numbered_at = state.stamp
        FROM (SELECT count(*) AS number FROM numbered) AS found, state WHERE {log}.id = %(log)s AND found.number > 0
    )
    SELECT {wanted} FROM numbered
"""


def lock_and_number(
    connection: BaseDatabaseWrapper, *, columns: str, limit: int, tells: bool
) -> tuple[tuple[Any, ...] | None, list[tuple[Any, ...]]]:
    """Lock the log's row and number what waits, in the current transaction or in one of its own.

    Args:
        connection: to PostgreSQL, through psycopg 3.
        columns: of the log's row, to be returned.
        limit: how many events at most.
        tells: whether the events' rows are wanted, in the order of `column_list`.

    Returns:
        The log as it was before, or nothing where it has no row, and nothing was numbered; the events' rows, or one row
        with their number.
    """
    names = {"log": EventLog._meta.db_table, "table": Event._meta.db_table}
    returned = column_list(using=connection.alias) if tells else f"{names['table']}.id"
    number = NUMBER.format(**names, returned=returned, wanted="*" if tells else "count(*)")
    with connection.cursor() as planning, connection.cursor() as locking, connection.cursor() as numbering:
        with together(connection):
            planning.execute(PLAN)
            locking.execute(LOCK.format(columns=columns, log=names["log"]), [SINGLETON])
            numbering.execute(number, {"log": SINGLETON, "limit": limit})
        return locking.fetchone(), numbering.fetchall()
