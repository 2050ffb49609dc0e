"""What hits weigh on PostgreSQL, and whether a block range index (BRIN) would pay: `--only costs-storage`.

The tree that is shipped and the block range index that could stand in its place, on the same rows: what they weigh, what
a day's worth of hits costs to count by them, and what each adds to a batch of hits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.costs import set_up
from benchmarks.growth import BATCH, any_link, draft, fill, taken_ms, write
from benchmarks.outcomes import Conditions, Cost, Results

if TYPE_CHECKING:
    from collections.abc import Callable

HITS, EVENTS = "livereferrals_referralhit", "livereferrals_event"
TABLES = (HITS, EVENTS, "livereferrals_visitor")
KINDS = {
    "tree": "CREATE INDEX bench_index ON {table} ({column})",
    "BRIN": "CREATE INDEX bench_index ON {table} USING brin ({column}) WITH (pages_per_range = 32)",
    "no index": "",
}
QUESTIONS = {
    "hits of a day counted": "SELECT count(*) FROM livereferrals_referralhit WHERE created_at >= now() - interval '31 days'"
    " AND created_at < now() - interval '30 days'",
    "newest 50 hits": "SELECT id FROM livereferrals_referralhit ORDER BY created_at DESC LIMIT 50",
    "500 events after a number": "SELECT id FROM livereferrals_event WHERE seq > {seq} ORDER BY seq LIMIT 500",
}
PLACES = {"created_at of hits": (HITS, "created_at"), "seq of events": (EVENTS, "seq")}


def on_postgres(conditions: Conditions) -> Results:
    """Weigh hits, then compare the two kinds of index."""
    set_up(conditions, "postgres")
    size = conditions.pick(full=1_000_000, quick=10_000)
    fill(conditions, "postgres", size)
    return Results(costs=[*weights(size), *block_ranges()])


def weights(hits: int) -> list[Cost]:
    """Return what a hit takes on disk, table by table, and what it writes ahead."""
    from livereferrals.tracking.writing import Hits

    found = [
        Cost(
            path="storage", piece=f"{table} and its indexes, for each hit", values=[_number(query) / hits], unit="bytes"
        )
        for table in TABLES
        for query in (f"SELECT pg_total_relation_size('{table}')",)
    ]
    writer, link, times = Hits(), any_link(), 20
    for size in (1, BATCH):
        _execute("CHECKPOINT")
        write(writer, [draft(link)] * size)
        before = _number("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
        for _ in range(times):
            write(writer, [draft(link)] * size)
        written = _number("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')") - before
        piece = f"written ahead for each hit, {size} in a commit, soon after a checkpoint"
        found.append(Cost(path="storage", piece=piece, values=[written / times / size], unit="bytes"))
    return found


def block_ranges() -> list[Cost]:
    """Compare the two kinds of index."""
    found: list[Cost] = []
    for place, (table, column) in PLACES.items():
        _drop_own(table, column)
        for kind, statement in KINDS.items():
            if statement:
                _execute(statement.format(table=table, column=column))
                found.append(Cost(path="indexes", piece=f"{place}: {kind}, size", values=[_size_mib()], unit="MiB"))
            found += [
                Cost(path="indexes", piece=f"{place}: {kind}, {what}", values=[taken_ms(call)], unit="ms")
                for what, call in _acts(table).items()
            ]
            _execute("DROP INDEX IF EXISTS bench_index")
    return found


MEASURES: dict[str, Callable[[Conditions], Results]] = {"costs-storage": on_postgres}


def _acts(table: str) -> dict[str, Callable[[], object]]:
    from livereferrals.events.models import EventLog
    from livereferrals.tracking.writing import Hits

    writer, link = Hits(), any_link()
    head = EventLog.objects.get().head
    asked = {what: query.format(seq=head // 2) for what, query in QUESTIONS.items() if table in query}
    questions: dict[str, Callable[[], object]] = {what: partial(_execute, query) for what, query in asked.items()}
    return questions | {f"{BATCH} hits in a commit": lambda: write(writer, [draft(link)] * BATCH)}


def _drop_own(table: str, column: str) -> None:
    """Take away the shipped indexes that lead with this column, so that the one in question is the one that is used."""
    from django.db import connection

    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table)
    for name, told in constraints.items():
        # A unique constraint does not count as an index there, and has one.
        if told["columns"][:1] != [column] or not (told["index"] or told["unique"]):
            continue
        if told["unique"]:
            _execute(f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS "{name}"')
        _execute(f'DROP INDEX IF EXISTS "{name}"')


def _size_mib() -> float:
    return round(_number("SELECT pg_relation_size('bench_index')") / 2**20, 2)


def _number(query: str) -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(query)
        return float(cursor.fetchone()[0])


def _execute(statement: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        if cursor.description:
            cursor.fetchall()
