"""What a benchmark is given and what it gives back.

A module with measurements (`hits`, `fanout`, `callbacks`, `dashboard`) exports

    MEASURES: dict[str, Callable[[Conditions], list[Outcome]]]

by row of the table of goals. A function under several rows is called once, for the rows in `conditions.rows`; what it
gives for others is left out. It runs in a process of its own, with the interpreter and the packages of the benchmarks,
where Django is not set up yet, on databases that are empty. It raises where the run broke; a missed goal is no error.

A module may also export `growth(conditions) -> list[Curve]` and `costs(conditions) -> list[Cost]`.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.environment import new_database

CLOSE = 0.15
"""A figure within this part of its limit is measured again, with more rounds."""
ABOVE_LINEAR = 1.15
"""An exponent of growth from here on has to be explained."""
PATHS = ("python", "scratch", "shared")
"""Of the conditions."""

Better = Literal["higher", "lower"]
Bound = Literal["at least", "at most"]
Name = tuple[str, str, str]
"""What makes a figure the one it is: row, what was measured, and against what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a measurement may use; made by `benchmarks.environment`."""

    quick: bool
    """One short round, to see that everything runs and where about the figures lie."""
    rounds: int
    """How many rounds of each contender."""
    rows: frozenset[str]
    """The rows that are asked for, of those under which the function stands."""
    python: Path
    """The interpreter of the benchmarks' environment, with every package of the baselines."""
    scratch: Path
    """A directory of this measurement alone, on a disk (not in memory), taken away afterwards."""
    shared: Path
    """The directory of what is made once for all measurements of a run, on the same disk: see `templates`."""
    wanted: frozenset[Name] = frozenset()
    """The figures that are measured again because they lie close to their limits; empty: all of the rows, and what is
    counted besides."""
    postgres_url: str | None = None
    """An empty database of this measurement alone, with `fsync` and `synchronous_commit` on. May make others beside it."""
    valkey_url: str | None = None
    """A Valkey, empty."""

    def sqlite_url(self, name: str = "db") -> str:
        """Return the address of an SQLite file of this measurement's own."""
        return f"sqlite:///{self.scratch / name}.sqlite3"

    def new_postgres(self, name: str, *, template: str | None = None) -> str:
        """Make one more PostgreSQL database of this measurement's own, empty or as a template; return its address."""
        if self.postgres_url is None:
            raise RuntimeError("This measurement needs PostgreSQL.")
        base = self.postgres_url.partition("?")[0]
        own = f"{base.rpartition('/')[2]}_{name}"
        return new_database(self.postgres_url, own, template=template)

    def pick(self, *, full: int, quick: int) -> int:
        """Return the size to measure with."""
        return quick if self.quick else full

    def wants(self, row: str, what: str, against: str = "") -> bool:
        """Whether this figure is to be measured: its row is asked for, and it is no other that is measured again."""
        return row in self.rows and (not self.wanted or (row, what, against) in self.wanted)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self) | {
            "rows": sorted(self.rows),
            "wanted": sorted(self.wanted),
            **{name: str(getattr(self, name)) for name in PATHS},
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Conditions:
        """Read what `as_json` gave."""
        sets = {"rows": frozenset(given["rows"]), "wanted": frozenset(tuple(name) for name in given["wanted"])}
        return cls(**(given | sets | {name: Path(given[name]) for name in PATHS}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Something durable that was counted afterwards. One that does not hold fails the whole run."""

    what: str
    """In the reader's words: "hits in the database, answers with 302"."""
    found: int
    expected: int
    at_least: bool = False
    """More than expected is right too (after `kill -9`: hits whose answer nobody read)."""

    @property
    def holds(self) -> bool:
        """Whether the count is right."""
        return self.found >= self.expected if self.at_least else self.found == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One measured figure beside its goal.

    With `theirs` the figure is a ratio of medians: ours / theirs, but theirs / ours where lower values are better and the
    goal is a minimum ("12 times less CPU"). Without `theirs` it is the median of ours.
    """

    row: str
    """Id in the table of goals: "P1", "P8a"."""
    what: str
    """What was measured: "hit, uvicorn + PostgreSQL, c=16"."""
    against: str = ""
    """The baseline; nothing for an absolute goal."""
    goal: float | None = None
    """The limit; `None` for a figure that is shown for the record."""
    stretch: float | None = None
    ours: list[float]
    """One value a round, in the order of the rounds; none is left out."""
    theirs: list[float] = field(default_factory=list)
    unit: str
    """Of the values: "hits/s", "ms", "KiB"."""
    better: Better = "higher"
    """Which values are better."""
    bound: Bound | None = None
    """Whether the goal is a minimum or a maximum; default: as `better` says."""
    counts: list[Count] = field(default_factory=list)
    figures: dict[str, float | str] = field(default_factory=dict)
    """What else was seen: latencies, CPU of server and client, sizes."""
    notes: str = ""

    @property
    def is_minimum(self) -> bool:
        """Whether the goal is to be reached or exceeded."""
        return (self.bound or ("at least" if self.better == "higher" else "at most")) == "at least"

    @property
    def ratio(self) -> float | None:
        """Median against median; nothing where there is no baseline."""
        if not self.theirs:
            return None
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        above, below = (theirs, ours) if self.better == "lower" and self.is_minimum else (ours, theirs)
        return above / below if below else math.inf

    @property
    def measured(self) -> float:
        """What is compared with the goal."""
        return statistics.median(self.ours) if self.ratio is None else self.ratio

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; nothing without a goal."""
        return self._reaches(self.goal)

    @property
    def stretched(self) -> bool | None:
        """Whether the stretch goal is met too."""
        return self._reaches(self.stretch)

    @property
    def is_close(self) -> bool:
        """Whether the figure lies so near its limit that more rounds should decide."""
        return self.goal is not None and abs(self.measured - self.goal) <= CLOSE * self.goal

    def joined(self, other: Outcome) -> Outcome:
        """Return the same figure with the rounds and counts of another run of it."""
        return replace(
            self,
            ours=self.ours + other.ours,
            theirs=self.theirs + other.theirs,
            counts=self.counts + other.counts,
            figures=self.figures | other.figures,
        )

    @property
    def name(self) -> Name:
        """Which figure it is; another run of the same has the same."""
        return self.row, self.what, self.against

    def _reaches(self, limit: float | None) -> bool | None:
        if limit is None:
            return None
        return self.measured >= limit if self.is_minimum else self.measured <= limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one piece of a path costs, by itself, with nothing else running."""

    path: str
    """"hit", "fan-out", "callbacks", "dashboard"."""
    piece: str
    values: list[float]
    """One a round."""
    unit: str = "us"
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How the cost of one act grows with one size."""

    path: str
    """"hit", "fan-out", "callbacks", "dashboard"."""
    what: str
    """The act whose cost is given: "a burst of 100 events to all watchers"."""
    size: str
    """What grows: "watchers", "hits in the database"."""
    points: list[tuple[float, float]]
    """Size and cost, from small to large; the cost of the whole act, not of one item of it."""
    unit: str = "ms"
    notes: str = ""
    """Why it grows as it does; required by readers where it is above linear."""

    @property
    def exponent(self) -> float:
        """The slope between logarithms: 0 is flat, 1 is linear, 2 is quadratic."""
        points = [(math.log(size), math.log(cost)) for size, cost in self.points if size > 0 and cost > 0]
        if len({size for size, _ in points}) < 2:
            return 0.0
        slope, _ = statistics.linear_regression(*zip(*points, strict=True))
        return slope

    @property
    def is_above_linear(self) -> bool:
        """Whether it grows faster than its size."""
        return self.exponent >= ABOVE_LINEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What one process of measurements gave."""

    outcomes: list[Outcome] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Results:
        """Read what `as_json` gave."""
        return cls(
            outcomes=[
                Outcome(**{**outcome, "counts": [Count(**count) for count in outcome["counts"]]})
                for outcome in found["outcomes"]
            ],
            costs=[Cost(**cost) for cost in found["costs"]],
            curves=[
                Curve(**{**curve, "points": [tuple(point) for point in curve["points"]]}) for curve in found["curves"]
            ],
        )
