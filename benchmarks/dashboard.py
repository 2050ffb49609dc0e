"""What the numbers of the dashboard cost (P18-P20), from ten thousand hits to five million, beside queries over the hits.

A year of hits of 200 partners, filled by `filling`; goals are PostgreSQL's, P18b is the same on SQLite. Each figure is the
median of repeated calls in one connection, with a warm cache: of the product's own functions, with what Django's ORM costs
around the query. The query beside it goes through the ORM too, as somebody writes it who has no rollups. The place of the
rollups and the events after them are read once for a page, whatever it shows; they have a line of their own, and so have
whole frames. What a storm of hits does to an open page is measured by `storm`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Literal

from benchmarks.environment import drop_database, new_database
from benchmarks.numbers import CHECKED, measure
from benchmarks.outcomes import Curve, Outcome, Results

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.numbers import Measured
    from benchmarks.outcomes import Conditions

    Database = Literal["PostgreSQL", "SQLite"]

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
QUICK_SIZES = (10_000, 50_000)
LIMITS = {"P18": (10.0, 5.0), "P20": (1.0, 0.3)}
"""Goal and stretch in milliseconds."""


def on_postgres(conditions: Conditions) -> Results:
    """Measure every statistic at every size: P18 to P20 at the largest, and how all of them grow."""
    return _on(conditions, "PostgreSQL")


def on_sqlite(conditions: Conditions) -> Results:
    """Measure the same on SQLite."""
    return _on(conditions, "SQLite")


MEASURES = {"P18": on_postgres, "P19": on_postgres, "P20": on_postgres, "P18b": on_sqlite}


def _on(conditions: Conditions, database: Database) -> Results:
    sizes = QUICK_SIZES if conditions.quick else SIZES
    series = []
    for size in (CHECKED, *sizes):
        is_largest = size == sizes[-1]
        # Django sorts SQLite's rows into days by a function of its own: half a minute for each query over five million.
        compare = is_largest and (database == "PostgreSQL" or conditions.quick)
        with emptied(conditions, database, size) as url:
            series.append(in_process(url, size, rounds=conditions.rounds if is_largest else 1, compare=compare))
    checked, *measured = series
    measured[-1].counts += checked.counts
    return Results(outcomes=outcomes(measured[-1], database), curves=curves(measured, database))


@contextlib.contextmanager
def emptied(conditions: Conditions, database: Database, size: int) -> Iterator[str]:
    """Give an empty database, taken away afterwards: five million hits are gigabytes."""
    name = f"dashboard_{size}"
    if database == "SQLite":
        yield conditions.sqlite_url(name)
        for file in conditions.scratch.glob(f"{name}.sqlite3*"):
            file.unlink()
        return
    if conditions.postgres_url is None:
        raise LookupError("PostgreSQL is needed.")
    url = new_database(conditions.postgres_url, name)
    try:
        yield url
    finally:
        drop_database(conditions.postgres_url, name)


def in_process(url: str, size: int, *, rounds: int, compare: bool) -> Measured:
    """Fill a database and measure, in a process of its own: Django knows one set of databases in a process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, url, size, rounds=rounds, compare=compare).result()


def outcomes(found: Measured, database: Database) -> list[Outcome]:
    """Return the figures of the largest size."""
    has_goals = database == "PostgreSQL"
    listed = []
    for figure in found.figures:
        what = f"{figure.what}, {found.hits:,} hits, {database}"
        goal, stretch = LIMITS.get(figure.row, (None, None)) if has_goals else (None, None)
        row = (figure.row or "P18") if has_goals else "P18b"
        listed.append(
            Outcome(
                row=row, what=what, goal=goal, stretch=stretch, ours=figure.ours, unit="ms", better="lower", counts=found.counts,
            )
        )  # fmt: skip
        if figure.theirs:
            goal, stretch = (figure.goal, figure.stretch) if has_goals else (None, None)
            listed.append(
                Outcome(
                    row="P19" if has_goals else "P18b", what=what, against="the query over hits", goal=goal, stretch=stretch,
                    ours=figure.ours, theirs=figure.theirs, unit="ms", better="lower", bound="at least",
                )
            )  # fmt: skip
    return listed


def curves(series: list[Measured], database: Database) -> list[Curve]:
    """Return how the time of each figure grows with the hits in the database."""
    return [
        Curve(
            path="dashboard",
            what=f"{figure.what}, {database}",
            size="hits in the database",
            points=[(float(found.hits), statistics.median(found.figures[place].ours)) for found in series],
            notes=figure.notes,
        )
        for place, figure in enumerate(series[-1].figures)
    ]
