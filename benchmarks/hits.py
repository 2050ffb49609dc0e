"""What a hit costs (P1-P9): followed links a second and their latency, beside empty views, raw ASGI and django-hype.

All servers of a row stay up, one process each, with default options and without access log; one is under load. Each
request is a new visitor's, with a browser's user agent and without a cookie: the dearest case. Every row counts what the
database holds: exactly the hits that were answered, and after `kill -9` under load none less than were read.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from benchmarks import durability, load
from benchmarks.contenders import Contender, contenders
from benchmarks.outcomes import Outcome
from benchmarks.rounds import alternate
from benchmarks.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from benchmarks.load import Seen
    from benchmarks.outcomes import Conditions
    from benchmarks.templates import Database

ASYNC, SYNC, RAW, HYPE = "empty async view", "empty sync view", "raw ASGI", "django-hype"
OURS, VIEW, AHEAD = "livereferrals", "livereferrals, front off", "livereferrals, links first"
COUNTED, COUNTED_SLOW = 5000, 1000
"""Requests whose hits are counted, on the fast path and on the plain view."""

Plan = dict[int, list[str]]
"""Who is loaded, by number of connections."""
Samples = dict[int, dict[str, list["Seen"]]]
"""Every round, by number of connections and by contender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure: hits a second, or a percentile of their latency, beside the baseline's."""

    row: str
    at: int
    """Connections."""
    against: str
    goal: float
    stretch: float
    of: Literal["rate", "p50", "p99"] = "rate"
    ours: str = OURS

    def what(self, path: str) -> str:
        """Return what is measured, in the reader's words."""
        which = "" if self.of == "rate" else f", {self.of}"
        return f"{'links first' if self.ours is AHEAD else 'hit'}, {path}, c={self.at}{which}"

    def outcome(self, path: str, found: Mapping[str, list[Seen]]) -> Outcome:
        """Return the figure."""
        is_rate = self.of == "rate"
        value = "rate" if is_rate else f"{self.of}_ms"
        return Outcome(
            row=self.row,
            what=self.what(path),
            against=self.against,
            goal=self.goal,
            stretch=self.stretch,
            ours=[getattr(one, value) for one in found[self.ours]],
            theirs=[getattr(one, value) for one in found[self.against]],
            unit="requests/s" if is_rate else "ms",
            better="higher" if is_rate else "lower",
            figures=figures(found[self.ours]) if is_rate else {},
            notes="a link parameter on any URL, our middleware first in MIDDLEWARE: it knows no login"
            if self.ours is AHEAD
            else "",
        )


# --- the rows -------------------------------------------------------------------------------------------------------------


def uvicorn_postgres(conditions: Conditions) -> list[Outcome]:
    """The fast path on uvicorn and PostgreSQL: P1 to P5, P9a."""
    return measured(
        conditions,
        "uvicorn",
        "postgres",
        path="uvicorn + PostgreSQL",
        goals=[
            Goal(row="P1", at=16, against=ASYNC, goal=5, stretch=8),
            Goal(row="P2", at=64, against=ASYNC, goal=10, stretch=15),
            Goal(row="P3", at=64, against=RAW, goal=0.33, stretch=0.45),
            Goal(row="P4", at=16, against=HYPE, goal=30, stretch=50),
            Goal(row="P4", at=64, against=HYPE, goal=30, stretch=50),
            Goal(row="P5", at=1, against=ASYNC, goal=1.2, stretch=0.9, of="p50"),
            Goal(row="P9a", at=64, against=ASYNC, goal=1, stretch=0.5, of="p99"),
        ],
        record="P2",
    )


def uvicorn_sqlite(conditions: Conditions) -> list[Outcome]:
    """The fast path on uvicorn and SQLite: P6, P9b."""
    return measured(
        conditions,
        "uvicorn",
        "sqlite",
        path="uvicorn + SQLite",
        goals=[
            Goal(row="P6", at=16, against=ASYNC, goal=5, stretch=8),
            Goal(row="P6", at=16, against=HYPE, goal=20, stretch=40),
            Goal(row="P6", at=64, against=ASYNC, goal=5, stretch=8),
            Goal(row="P6", at=64, against=HYPE, goal=20, stretch=40),
            Goal(row="P9b", at=64, against=ASYNC, goal=1, stretch=0.5, of="p99"),
        ],
    )


def daphne_postgres(conditions: Conditions) -> list[Outcome]:
    """The fast path on daphne and PostgreSQL: P7, P9c."""
    return measured(
        conditions,
        "daphne",
        "postgres",
        path="daphne + PostgreSQL",
        goals=[
            Goal(row="P7", at=64, against=ASYNC, goal=3, stretch=4),
            Goal(row="P7", at=64, against=RAW, goal=0.6, stretch=0.7),
            Goal(row="P7", at=64, against=HYPE, goal=12, stretch=18),
            Goal(row="P9c", at=64, against=ASYNC, goal=1, stretch=0.5, of="p99"),
        ],
    )


def plain_view(conditions: Conditions) -> list[Outcome]:
    """The view behind the whole middleware, with the front off: P8a to P8c."""
    on_uvicorn = [
        Goal(row="P8a", at=16, against=SYNC, goal=0.5, stretch=0.65, ours=VIEW),
        Goal(row="P8b", at=16, against=HYPE, goal=1.4, stretch=1.7, ours=VIEW),
        Goal(row="P8c", at=16, against=VIEW, goal=1.1, stretch=1.3, ours=AHEAD),
    ]
    on_gunicorn = [
        Goal(row="P8a", at=16, against=SYNC, goal=0.3, stretch=0.45, ours=VIEW),
        Goal(row="P8b", at=16, against=HYPE, goal=2.5, stretch=4, ours=VIEW),
    ]
    return [
        outcome
        for kind, goals in {"uvicorn": on_uvicorn, "gunicorn": on_gunicorn}.items()
        for outcome in measured(conditions, kind, "postgres", path=f"{kind} + PostgreSQL, front off", goals=goals)
    ]


MEASURES: dict[str, Callable[[Conditions], list[Outcome]]] = {
    **dict.fromkeys(("P1", "P2", "P3", "P4", "P5", "P9a"), uvicorn_postgres),
    **dict.fromkeys(("P6", "P9b"), uvicorn_sqlite),
    **dict.fromkeys(("P7", "P9c"), daphne_postgres),
    **dict.fromkeys(("P8a", "P8b", "P8c"), plain_view),
}


def measured(
    conditions: Conditions, kind: str, database: Database, *, path: str, goals: Iterable[Goal], record: str = ""
) -> list[Outcome]:
    """Return the figures that are wanted; with the durable counts, unless it is for more rounds of some.

    At the row `record` stands, for the record, what a visitor who comes back costs.
    """
    wanted = [goal for goal in goals if conditions.wants(goal.row, goal.what(path), goal.against)]
    if not wanted:
        return []
    planned = plan(wanted)
    names = list(dict.fromkeys(name for names in planned.values() for name in names))
    all_of_them = contenders(conditions, kind, names, database=database)
    found = measure(all_of_them, conditions, planned)
    outcomes = [goal.outcome(path, found[goal.at]) for goal in wanted]
    if conditions.wanted:
        return outcomes
    # They hold for all of one server.
    ours = all_of_them[VIEW if VIEW in all_of_them else OURS]
    outcomes[0].counts.extend(
        durability.counts(ours, conditions, requests=COUNTED_SLOW if ours.name is VIEW else COUNTED)
    )
    return outcomes + [with_cookie(ours, conditions, row=record, path=path)] * (record in conditions.rows)


def plan(goals: Iterable[Goal]) -> Plan:
    """Return who has to be loaded for these figures: ours first, and nobody whom none of them needs."""
    found: Plan = {}
    for goal in sorted(goals, key=lambda goal: goal.at):
        names = found.setdefault(goal.at, [])
        names += [name for name in (goal.ours, goal.against) if name not in names]
    return found


# --- rounds ---------------------------------------------------------------------------------------------------------------


def measure(all_of_them: dict[str, Contender], conditions: Conditions, planned: Plan) -> Samples:
    """Load the contenders that are planned for each number of connections, in alternating rounds."""
    seconds, warm = conditions.pick(full=3, quick=1), conditions.pick(full=2, quick=1)
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
            for c, names in planned.items()
        }


def with_cookie(ours: Contender, conditions: Conditions, *, row: str, path: str) -> Outcome:
    """Return the rate for one visitor who comes back: for the record."""
    with running(ours.server):
        cookie = ours.cookie()
        seconds = conditions.pick(full=2, quick=1)
        seen = [ours.put(connections=64, seconds=seconds, cookie=cookie) for _ in range(conditions.rounds)]
    return Outcome(
        row=row,
        what=f"hit, {path}, c=64, always the same visitor's cookie",
        ours=[one.rate for one in seen],
        unit="hits/s",
        figures=figures(seen),
    )


def figures(seen: list[Seen]) -> dict[str, float | str]:
    """Return the latencies, and the client's share of a core where it might be the limit."""
    cpu = statistics.median(one.cpu for one in seen)
    told: dict[str, float | str] = {
        "p50 ms": round(statistics.median(one.p50_ms for one in seen), 2),
        "p99 ms": round(statistics.median(one.p99_ms for one in seen), 2),
    }
    return told | ({"client's cores": cpu} if cpu > load.HALF_A_CORE else {})
