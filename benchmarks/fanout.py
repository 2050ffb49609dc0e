"""What a crowd of watchers costs (P10-P13): bursts, a trickle and memory, beside naive Channels consumers and raw sends.

All servers of a row stay up with their watchers connected; one at a time is at work. Every event has the size of a real
hit's, whoever sends it. Each row counts what arrived: every event at every watcher, once.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.crowds import NAIVE, OURS, RAW, Scene, audiences
from benchmarks.outcomes import Count, Curve, Outcome
from benchmarks.rounds import alternate, median
from benchmarks.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.crowds import Audience, Burst
    from benchmarks.outcomes import Conditions

FEW, MANY = 200, 1000
WARM = 50
"""Watchers that come and go before the memory is measured: code and caches are not a watcher's."""
SETTLE_S = 1.5
WARM_EVENTS = {OURS: 5, NAIVE: 1, RAW: 5}
DELAYS = {"p50": 1.5, "p99": 2.0}
"""Goals of the trickle: times the baseline's."""
NAIVE_EVENTS = {FEW: {"full": 50, "quick": 10}, MANY: {"full": 10, "quick": 2}}
"""It is measured with fewer events: it takes 0.1 to 0.4 ms for each and watcher."""
CROWDS = (10, 50, 200, 1000, 2000)


# --- bursts ---------------------------------------------------------------------------------------------------------------


def burst_uvicorn(conditions: Conditions) -> list[Outcome]:
    """A burst on uvicorn: P10."""
    goals = {(FEW, NAIVE): (200, 500), (MANY, NAIVE): (400, 1500), (FEW, RAW): (10, 25), (MANY, RAW): (10, 25)}
    return _bursts(conditions, "uvicorn", events=500, row="P10", goals=goals)


def burst_daphne(conditions: Conditions) -> list[Outcome]:
    """A burst on daphne: P11."""
    goals = {(FEW, NAIVE): (100, 200), (MANY, NAIVE): (250, 600), (FEW, RAW): (8, 20), (MANY, RAW): (8, 20)}
    return _bursts(conditions, "daphne", events=200, row="P11", goals=goals)


def _bursts(
    conditions: Conditions, kind: str, *, events: int, row: str, goals: Mapping[tuple[int, str], tuple[float, float]]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    against = {
        watchers: [name for name in (NAIVE, RAW) if conditions.wants(row, _burst(events, watchers, kind), name)]
        for watchers in (FEW, MANY)
    }
    needed = {name for those in against.values() for name in those}
    if not needed:
        return outcomes
    # Ours in the middle: never twice in a row, which its readers' limits would make wait.
    names = [name for name in (NAIVE, OURS, RAW) if name in {OURS, *needed}]
    with Scene() as scene:
        everybody = audiences(conditions, scene, kind, names)
        with running(*(one.server for one in everybody.values())):
            for watchers, those in against.items():
                stage = {name: one for name, one in everybody.items() if those and name in {OURS, *those}}
                sizes = {OURS: events, NAIVE: conditions.pick(**NAIVE_EVENTS[watchers]), RAW: events}
                with gathered(stage, watchers):
                    found = alternate(
                        {name: partial(one.burst, sizes[name]) for name, one in stage.items()},
                        rounds=conditions.rounds,
                        warm_up={name: partial(one.burst, WARM_EVENTS[name]) for name, one in stage.items()},
                    )
                    for name in those:
                        what = _burst(events, watchers, kind)
                        goal, stretch = goals[watchers, name]
                        outcomes.append(
                            _rate(row, what, found, against=name, goal=goal, stretch=stretch, ours=stage[OURS])
                        )
    return outcomes


def _burst(events: int, watchers: int, kind: str) -> str:
    return f"{events} events to {watchers} watchers, {kind}"


@contextlib.contextmanager
def gathered(stage: Mapping[str, Audience], watchers: int) -> Iterator[None]:
    """Have so many watch each of them."""
    for one in stage.values():
        one.gather(watchers)
    yield
    for one in stage.values():
        one.leave()


def _rate(
    row: str, what: str, found: dict[str, list[Burst]], *, against: str, goal: float, stretch: float, ours: Audience
) -> Outcome:
    bursts = found[OURS]
    return Outcome(
        row=row,
        what=what,
        against=against,
        goal=goal,
        stretch=stretch,
        ours=[one.rate for one in bursts],
        theirs=[one.rate for one in found[against]],
        unit="events x sockets/s",
        counts=[arrived(ours)],
        figures={
            "whole burst, ms": round(1000 * median([one.seconds for one in bursts]), 1),
            "client's part of a core": round(median([one.client_share for one in bursts]), 2),
        },
    )


def arrived(audience: Audience) -> Count:
    """Return what reached the watchers."""
    expected = audience.expected * len(audience.crowd.watchers)
    return Count(what="events at the watchers, events written x watchers", found=audience.received(), expected=expected)


# --- a trickle ------------------------------------------------------------------------------------------------------------


def trickle(conditions: Conditions) -> list[Outcome]:
    """Five hits a second: P12."""
    with Scene() as scene:
        return [outcome for kind in ("uvicorn", "daphne") for outcome in _trickle(conditions, scene, kind)]


def _trickle(conditions: Conditions, scene: Scene, kind: str) -> list[Outcome]:
    planned = {
        watchers: [delay for delay in DELAYS if conditions.wants("P12", _delay(delay, watchers, kind), RAW)]
        for watchers in (FEW, MANY)
    }
    outcomes: list[Outcome] = []
    if not any(planned.values()):
        return outcomes
    hits = conditions.pick(full=25, quick=5)
    stage = audiences(conditions, scene, kind, [OURS, RAW])
    with running(*(one.server for one in stage.values())):
        for watchers, delays in planned.items():
            if not delays:
                continue
            with gathered(stage, watchers):
                found = alternate(
                    {name: partial(one.trickle, hits) for name, one in stage.items()},
                    rounds=conditions.rounds,
                    warm_up={name: partial(one.trickle, WARM_EVENTS[name]) for name, one in stage.items()},
                )
                outcomes += [
                    Outcome(
                        row="P12",
                        what=_delay(which, watchers, kind),
                        against=RAW,
                        goal=DELAYS[which],
                        stretch=1.2,
                        ours=[getattr(seen, which) for seen in found[OURS]],
                        theirs=[getattr(seen, which) for seen in found[RAW]],
                        unit="ms",
                        better="lower",
                        counts=[arrived(stage[OURS])],
                    )
                    for which in delays
                ]
    return outcomes


def _delay(which: str, watchers: int, kind: str) -> str:
    return f"5 hits a second, {watchers} watchers, {kind}: request to arrival, {which}"


# --- memory ---------------------------------------------------------------------------------------------------------------


def memory(conditions: Conditions) -> list[Outcome]:
    """Memory of an idle watcher, after one event: P13; a quick run looks at one kind of server."""
    outcomes: list[Outcome] = []
    with Scene() as scene:
        for kind in ("uvicorn", "daphne")[: conditions.pick(full=2, quick=1)]:
            what = f"memory of an idle watcher, {MANY} of them, {kind}"
            if not conditions.wants("P13", what):
                continue
            # What is shown for the record takes one round.
            record = [] if conditions.wanted else [NAIVE, RAW]
            sizes: dict[str, list[float]] = {}
            for names in ([OURS, *record], *[[OURS]] * (conditions.rounds - 1)):
                for name, one in audiences(conditions, scene, kind, names).items():
                    with running(one.server):
                        sizes.setdefault(name, []).append(idle_kib(one, watchers=MANY))
            outcomes.append(
                Outcome(
                    row="P13",
                    what=what,
                    goal=40,
                    stretch=25,
                    ours=sizes[OURS],
                    unit="KiB",
                    better="lower",
                    figures={f"{name}, KiB": round(median(sizes[name]), 1) for name in record},
                )
            )
    return outcomes


def idle_kib(audience: Audience, *, watchers: int) -> float:
    """Return what each of so many watchers takes, once an event has reached them."""
    audience.gather(WARM)
    audience.burst(1)
    audience.leave()
    audience.rest(SETTLE_S)
    before = audience.resident_kib()
    audience.gather(watchers)
    audience.burst(1)
    audience.rest(SETTLE_S)
    found = (audience.resident_kib() - before) / watchers
    audience.leave()
    return found


# --- growth ---------------------------------------------------------------------------------------------------------------


def growth(conditions: Conditions) -> list[Curve]:
    """How bursts and memory grow with the watchers."""
    bursts: list[tuple[float, float]] = []
    sizes: list[tuple[float, float]] = []
    with Scene() as scene:
        one = audiences(conditions, scene, "uvicorn", [OURS])[OURS]
        with running(one.server):
            one.gather(WARM)
            one.burst(100)
            one.leave()
            one.rest(SETTLE_S)
            before = one.resident_kib()
            for watchers in CROWDS[: conditions.pick(full=len(CROWDS), quick=2)]:
                one.gather(watchers)
                one.burst(1)
                one.rest(SETTLE_S / 2)
                sizes.append((watchers, max(1.0, one.resident_kib() - before)))
                times = range(conditions.pick(full=3, quick=1))
                bursts.append((watchers, median([1000 * one.burst(100).seconds for _ in times])))
                one.leave()
    return [
        Curve(path="fan-out", what="a burst of 100 events to all watchers", size="watchers", points=bursts),
        Curve(path="fan-out", what="memory of all watchers", size="watchers", points=sizes, unit="KiB"),
    ]


MEASURES: dict[str, Callable[[Conditions], list[Outcome]]] = {
    "P10": burst_uvicorn,
    "P11": burst_daphne,
    "P12": trickle,
    "P13": memory,
}
