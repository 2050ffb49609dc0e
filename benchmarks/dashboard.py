"""What the numbers of the dashboard cost (P18-P20), from ten thousand hits to five million, beside queries over the hits.

A year of hits of 200 partners, filled by `filling`; goals are PostgreSQL's, P18b is the same on SQLite. Each figure is the
median of repeated calls in one connection, with a warm cache: of the product's own functions, with what Django's ORM costs
around the query. The query beside it goes through the ORM too, as somebody writes it who has no rollups. The place of the
rollups and the events after them are read once for a page, whatever it shows; they have a line of their own, and so have
whole frames. What a storm of hits does to an open page is measured by `storm`.
"""

from __future__ import annotations

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from benchmarks import filled
from benchmarks.numbers import measure
from benchmarks.outcomes import Curve, Outcome, Results

if TYPE_CHECKING:
    from benchmarks.numbers import Figure, Measured
    from benchmarks.outcomes import Conditions
    from benchmarks.templates import Database

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
QUICK_SIZES = (1_000, 10_000)
LIMITS = {"P18": (10.0, 5.0), "P20": (1.0, 0.3)}
"""Goal and stretch in milliseconds."""
NAMES: dict[Database, str] = {"postgres": "PostgreSQL", "sqlite": "SQLite"}
ROWS: dict[Database, set[str]] = {"postgres": {"P18", "P19", "P20"}, "sqlite": {"P18b"}}
REPEATS_ITSELF = True
"""What is close to its limit is measured again here, while the millions of rows are there."""


def on_both(conditions: Conditions) -> Results:
    """Measure every statistic at every size, at the largest beside goals: P18 to P20; P18b is the same on SQLite.

    Both databases are filled at the same time, and then asked one after the other.
    """
    databases = [database for database, rows in ROWS.items() if rows & conditions.rows]
    sizes = QUICK_SIZES if conditions.quick else SIZES
    series: dict[Database, list[Measured]] = {database: [] for database in databases}
    for size in sizes:
        with filled.made(conditions, databases, size) as urls:
            for database, url in urls.items():
                is_largest = size == sizes[-1]
                series[database].append(
                    largest(conditions, database, url, size) if is_largest else in_process(url, size)
                )
    found = Results()
    for database, measured in series.items():
        measured[-1].counts = [count for one in measured for count in one.counts]
        found.outcomes.extend(outcomes(measured[-1], database))
        found.curves.extend(curves(measured, database))
    return found


MEASURES = {row: on_both for rows in ROWS.values() for row in sorted(rows)}


def largest(conditions: Conditions, database: Database, url: str, size: int) -> Measured:
    """Measure in rounds, and what is close to its limit in as many more."""
    # Django sorts SQLite's rows into days by a function of its own: half a minute for each query over five million.
    compare = database == "postgres" or conditions.quick
    found = in_process(url, size, rounds=conditions.rounds, compare=compare)
    close = {
        figure.what: figure for figure in found.figures if any(one.is_close for one in shown(figure, found, database))
    }
    if close and not conditions.quick:
        more = in_process(url, size, rounds=conditions.rounds, compare=compare, only=frozenset(close))
        for figure in more.figures:
            close[figure.what].ours += figure.ours
            close[figure.what].theirs += figure.theirs
    return found


def in_process(
    url: str, size: int, *, rounds: int = 1, compare: bool = False, only: frozenset[str] = frozenset()
) -> Measured:
    """Measure in a process of its own: Django knows one set of databases in a process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(measure, url, size, rounds=rounds, compare=compare, only=only).result()


def outcomes(found: Measured, database: Database) -> list[Outcome]:
    """Return the figures of the largest size."""
    return [one for figure in found.figures for one in shown(figure, found, database)]


def shown(figure: Figure, found: Measured, database: Database) -> list[Outcome]:
    """Return a figure by itself, and beside the query over hits where that was measured."""
    has_goals = database == "postgres"
    what = f"{figure.what}, {found.hits:,} hits, {NAMES[database]}"
    goal, stretch = LIMITS.get(figure.row, (None, None)) if has_goals else (None, None)
    row = (figure.row or "P18") if has_goals else "P18b"
    listed = [
        Outcome(
            row=row, what=what, goal=goal, stretch=stretch, ours=figure.ours, unit="ms", better="lower", counts=found.counts,
        )
    ]  # fmt: skip
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
            what=f"{figure.what}, {NAMES[database]}",
            size="hits in the database",
            points=[(float(found.hits), statistics.median(found.figures[place].ours)) for found in series],
            notes=figure.notes,
        )
        for place, figure in enumerate(series[-1].figures)
    ]
