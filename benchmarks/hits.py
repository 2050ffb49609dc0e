"""What a hit costs (P1-P9): followed links a second and their latency, beside empty views, raw ASGI and django-hype.

All servers of a row stay up, one process each, with default options and without access log; one is under load. Each
request is a new visitor's, with a browser's user agent and without a cookie: the dearest case. Every row counts what the
database holds: exactly the hits that were answered, and after `kill -9` under load none less than were read.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import durability, load
from benchmarks.contenders import Contender, contenders
from benchmarks.outcomes import Outcome
from benchmarks.rounds import alternate
from benchmarks.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.load import Seen
    from benchmarks.outcomes import Better, Conditions, Count

ASYNC, SYNC, RAW, HYPE = "empty async view", "empty sync view", "raw ASGI", "django-hype"
OURS, VIEW, AHEAD = "livereferrals", "livereferrals, front off", "livereferrals, links first"

Samples = dict[int, dict[str, list["Seen"]]]
"""Every round, by number of connections and by contender."""


# --- the rows -------------------------------------------------------------------------------------------------------------


def uvicorn_postgres(conditions: Conditions) -> list[Outcome]:
    """The fast path on uvicorn and PostgreSQL: P1 to P5, P9a."""
    path = "uvicorn + PostgreSQL"
    rows = conditions.rows
    hype = [HYPE] * ("P4" in rows)
    plan = {
        1: [OURS, ASYNC] * ("P5" in rows),
        16: [OURS, ASYNC, *hype] * bool(rows & {"P1", "P4"}),
        64: [OURS, ASYNC, *hype, *[RAW] * ("P3" in rows)] * bool(rows & {"P2", "P3", "P4", "P9a"}),
    }
    all_of_them = contenders(conditions, "uvicorn", _named(plan), database="postgres")
    found = measure(all_of_them, conditions, plan)
    counts = durability.counts(all_of_them[OURS], conditions)
    record = [with_cookie(all_of_them[OURS], conditions, path=path)] if "P2" in rows else []
    many = [
        ("P1", 16, ASYNC, 5, 8), ("P2", 64, ASYNC, 10, 15), ("P3", 64, RAW, 0.33, 0.45), ("P4", 16, HYPE, 30, 50), ("P4", 64, HYPE, 30, 50)
    ]  # fmt: skip
    outcomes = [
        rate(row, path, found[c], at=c, against=against, goal=goal, stretch=stretch)
        for row, c, against, goal, stretch in many
        if row in rows
    ]
    if "P5" in rows:
        outcomes.append(latency("P5", path, found[1], at=1, against=ASYNC, goal=1.2, stretch=0.9, which="p50"))
    if "P9a" in rows:
        outcomes.append(latency("P9a", path, found[64], at=64, against=ASYNC, goal=1, stretch=0.5, which="p99"))
    return [*_with(counts, outcomes), *record]


def uvicorn_sqlite(conditions: Conditions) -> list[Outcome]:
    """The fast path on uvicorn and SQLite: P6, P9b."""
    path = "uvicorn + SQLite"
    rows = conditions.rows
    plan = {16: [OURS, ASYNC, HYPE], 64: [OURS, ASYNC, HYPE]} if "P6" in rows else {64: [OURS, ASYNC]}
    all_of_them = contenders(conditions, "uvicorn", _named(plan), database="sqlite")
    found = measure(all_of_them, conditions, plan)
    counts = durability.counts(all_of_them[OURS], conditions)
    outcomes = [
        rate("P6", path, found[c], at=c, against=against, goal=goal, stretch=stretch)
        for c in plan
        for against, goal, stretch in ((ASYNC, 5, 8), (HYPE, 20, 40))
        if "P6" in rows
    ]
    if "P9b" in rows:
        outcomes.append(latency("P9b", path, found[64], at=64, against=ASYNC, goal=1, stretch=0.5, which="p99"))
    return _with(counts, outcomes)


def daphne_postgres(conditions: Conditions) -> list[Outcome]:
    """The fast path on daphne and PostgreSQL: P7, P9c."""
    path = "daphne + PostgreSQL"
    rows = conditions.rows
    names = [OURS, ASYNC] + [RAW, HYPE] * ("P7" in rows)
    all_of_them = contenders(conditions, "daphne", names, database="postgres")
    found = measure(all_of_them, conditions, {64: names})
    counts = durability.counts(all_of_them[OURS], conditions)
    outcomes = [
        rate("P7", path, found[64], at=64, against=against, goal=goal, stretch=stretch)
        for against, goal, stretch in ((ASYNC, 3, 4), (RAW, 0.6, 0.7), (HYPE, 12, 18))
        if "P7" in rows
    ]
    if "P9c" in rows:
        outcomes.append(latency("P9c", path, found[64], at=64, against=ASYNC, goal=1, stretch=0.5, which="p99"))
    return _with(counts, outcomes)


def plain_view(conditions: Conditions) -> list[Outcome]:
    """The view behind the whole middleware, with the front off: P8a to P8c."""
    outcomes: list[Outcome] = []
    for kind, (of_empty, of_hype) in {
        "uvicorn": ((0.5, 0.65), (1.4, 1.7)),
        "gunicorn": ((0.3, 0.45), (2.5, 4)),
    }.items():
        names = [VIEW, SYNC, HYPE] + [AHEAD] * (kind == "uvicorn")
        all_of_them = contenders(conditions, kind, names, database="postgres")
        found = measure(all_of_them, conditions, {16: names})[16]
        counts = durability.counts(all_of_them[VIEW], conditions)
        path = f"{kind} + PostgreSQL, front off"
        rows = [
            rate("P8a", path, found, at=16, against=SYNC, goal=of_empty[0], stretch=of_empty[1], ours=VIEW),
            rate("P8b", path, found, at=16, against=HYPE, goal=of_hype[0], stretch=of_hype[1], ours=VIEW),
        ]
        if kind == "uvicorn":
            rows.append(rate("P8c", path, found, at=16, against=VIEW, goal=1.1, stretch=1.3, ours=AHEAD))
        outcomes += _with(counts, rows)
    return outcomes


MEASURES: dict[str, Callable[[Conditions], list[Outcome]]] = {
    **dict.fromkeys(("P1", "P2", "P3", "P4", "P5", "P9a"), uvicorn_postgres),
    **dict.fromkeys(("P6", "P9b"), uvicorn_sqlite),
    **dict.fromkeys(("P7", "P9c"), daphne_postgres),
    **dict.fromkeys(("P8a", "P8b", "P8c"), plain_view),
}


# --- rounds ---------------------------------------------------------------------------------------------------------------


def measure(all_of_them: dict[str, Contender], conditions: Conditions, plan: Mapping[int, list[str]]) -> Samples:
    """Load the contenders that are planned for each number of connections, in alternating rounds."""
    seconds, warm = conditions.pick(full=3, quick=2), conditions.pick(full=2, quick=1)
    with running(*(one.server for one in all_of_them.values())):
        for one in all_of_them.values():
            one.cookie()  # Much is imported at the first request.
            one.put(connections=16, seconds=warm)
        return {
            c: alternate(
                {name: partial(all_of_them[name].put, connections=c, seconds=seconds) for name in names},
                rounds=conditions.rounds,
                warm_up={},
            )
            for c, names in plan.items()
        }


def _named(plan: Mapping[int, list[str]]) -> list[str]:
    """Return everybody who is planned for."""
    return list(dict.fromkeys(name for names in plan.values() for name in names))


def with_cookie(ours: Contender, conditions: Conditions, *, path: str) -> Outcome:
    """Return the rate for one visitor who comes back: for the record."""
    with running(ours.server):
        cookie = ours.cookie()
        seen = [ours.put(connections=64, seconds=2, cookie=cookie) for _ in range(conditions.rounds)]
    return Outcome(
        row="P2",
        what=f"hit, {path}, c=64, always the same visitor's cookie",
        ours=[one.rate for one in seen],
        unit="hits/s",
        figures=figures(seen),
    )


# --- outcomes -------------------------------------------------------------------------------------------------------------


def rate(
    row: str,
    path: str,
    found: dict[str, list[Seen]],
    *,
    at: int,
    against: str,
    goal: float,
    stretch: float,
    ours: str = OURS,
) -> Outcome:
    """Return hits a second beside the baseline's answers a second."""
    return Outcome(
        row=row,
        what=f"{'links first' if ours is AHEAD else 'hit'}, {path}, c={at}",
        against=against,
        goal=goal,
        stretch=stretch,
        ours=[one.rate for one in found[ours]],
        theirs=[one.rate for one in found[against]],
        unit="requests/s",
        figures=figures(found[ours]),
        notes="a link parameter on any URL, our middleware first in MIDDLEWARE: it knows no login"
        if ours is AHEAD
        else "",
    )


def latency(
    row: str, path: str, found: dict[str, list[Seen]], *, at: int, against: str, goal: float, stretch: float, which: str
) -> Outcome:
    """Return a percentile of the latency beside the baseline's."""
    better: Better = "lower"
    return Outcome(
        row=row,
        what=f"hit, {path}, c={at}, {which}",
        against=against,
        goal=goal,
        stretch=stretch,
        ours=[getattr(one, f"{which}_ms") for one in found[OURS]],
        theirs=[getattr(one, f"{which}_ms") for one in found[against]],
        unit="ms",
        better=better,
    )


def figures(seen: list[Seen]) -> dict[str, float | str]:
    """Return the latencies, and the client's share of a core where it might be the limit."""
    cpu = statistics.median(one.cpu for one in seen)
    told: dict[str, float | str] = {
        "p50 ms": round(statistics.median(one.p50_ms for one in seen), 2),
        "p99 ms": round(statistics.median(one.p99_ms for one in seen), 2),
    }
    return told | ({"client's cores": cpu} if cpu > load.HALF_A_CORE else {})


def _with(counts: list[Count], outcomes: list[Outcome]) -> list[Outcome]:
    """Put the counts on the first of the outcomes: they hold for all of one server."""
    outcomes[0].counts.extend(counts)
    return outcomes
