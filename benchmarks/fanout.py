"""What a crowd of watchers costs (P10-P13): bursts, a trickle and memory, beside naive Channels consumers and raw sends.

All servers of a row stay up with their watchers connected; one at a time is at work. Every event has the size of a real
hit's, whoever sends it. Each row counts what arrived: every event at every watcher, once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.crowds import NAIVE, OURS, RAW, Scene, audiences
from benchmarks.outcomes import Count, Curve, Outcome
from benchmarks.rounds import alternate, median
from benchmarks.servers import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.crowds import Audience, Burst
    from benchmarks.outcomes import Conditions

FEW, MANY = 200, 1000
WARM = 50
"""Watchers that come and go before the memory is measured: code and caches are not a watcher's."""
SETTLE_S = 2.0
NAIVE_EVENTS = {FEW: 50, MANY: 20}
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
    with Scene() as scene:
        stage = audiences(conditions, scene, kind, [OURS, NAIVE, RAW])
        with running(*(one.server for one in stage.values())):
            for watchers in (FEW, MANY):
                for one in stage.values():
                    one.gather(watchers)
                sizes = {OURS: events, NAIVE: NAIVE_EVENTS[watchers], RAW: events}
                found = alternate(
                    {name: partial(one.burst, sizes[name]) for name, one in stage.items()},
                    rounds=conditions.rounds,
                    warm_up={name: partial(one.burst, 5) for name, one in stage.items()},
                )
                what = f"{events} events to {watchers} watchers, {kind}"
                for against in (NAIVE, RAW):
                    goal, stretch = goals[watchers, against]
                    outcomes.append(_rate(row, what, found, against=against, goal=goal, stretch=stretch, stage=stage))
                for one in stage.values():
                    one.leave()
    return outcomes


def _rate(
    row: str,
    what: str,
    found: dict[str, list[Burst]],
    *,
    against: str,
    goal: float,
    stretch: float,
    stage: Mapping[str, Audience],
) -> Outcome:
    ours = found[OURS]
    return Outcome(
        row=row,
        what=what,
        against=against,
        goal=goal,
        stretch=stretch,
        ours=[one.rate for one in ours],
        theirs=[one.rate for one in found[against]],
        unit="events x sockets/s",
        counts=[arrived(stage[OURS])],
        figures={
            "whole burst, ms": round(1000 * median([one.seconds for one in ours]), 1),
            "client's part of a core": round(median([one.client_share for one in ours]), 2),
        },
    )


def arrived(audience: Audience) -> Count:
    """Return what reached the watchers."""
    expected = audience.expected * len(audience.crowd.watchers)
    return Count(what="events at the watchers, events written x watchers", found=audience.received(), expected=expected)


# --- a trickle ------------------------------------------------------------------------------------------------------------


def trickle(conditions: Conditions) -> list[Outcome]:
    """Five hits a second: P12."""
    outcomes: list[Outcome] = []
    hits = conditions.pick(full=30, quick=10)
    with Scene() as scene:
        for kind in ("uvicorn", "daphne"):
            stage = audiences(conditions, scene, kind, [OURS, RAW])
            with running(*(one.server for one in stage.values())):
                for watchers in (FEW, MANY):
                    for one in stage.values():
                        one.gather(watchers)
                    found = alternate(
                        {name: partial(one.trickle, hits) for name, one in stage.items()},
                        rounds=conditions.rounds,
                        warm_up={name: partial(one.trickle, 5) for name, one in stage.items()},
                    )
                    for which, goal, stretch in (("p50", 1.5, 1.2), ("p99", 2.0, 1.2)):
                        outcomes.append(
                            Outcome(
                                row="P12",
                                what=f"5 hits a second, {watchers} watchers, {kind}: request to arrival, {which}",
                                against=RAW,
                                goal=goal,
                                stretch=stretch,
                                ours=[getattr(delays, which) for delays in found[OURS]],
                                theirs=[getattr(delays, which) for delays in found[RAW]],
                                unit="ms",
                                better="lower",
                                counts=[arrived(stage[OURS])],
                            )
                        )
                    for one in stage.values():
                        one.leave()
    return outcomes


# --- memory ---------------------------------------------------------------------------------------------------------------


def memory(conditions: Conditions) -> list[Outcome]:
    """Memory of an idle watcher, after one event: P13."""
    outcomes: list[Outcome] = []
    with Scene() as scene:
        for kind in ("uvicorn", "daphne"):
            sizes: dict[str, list[float]] = {OURS: [], NAIVE: [], RAW: []}
            for _ in range(conditions.rounds):
                for name, one in audiences(conditions, scene, kind, list(sizes)).items():
                    with running(one.server):
                        sizes[name].append(idle_kib(one, watchers=MANY))
            outcomes.append(
                Outcome(
                    row="P13",
                    what=f"memory of an idle watcher, {MANY} of them, {kind}",
                    goal=40,
                    stretch=25,
                    ours=sizes[OURS],
                    unit="KiB",
                    better="lower",
                    figures={f"{name}, KiB": round(median(sizes[name]), 1) for name in (NAIVE, RAW)},
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
            for watchers in CROWDS[: conditions.pick(full=len(CROWDS), quick=3)]:
                one.gather(watchers)
                one.burst(1)
                one.rest(SETTLE_S / 2)
                sizes.append((watchers, max(1.0, one.resident_kib() - before)))
                bursts.append((watchers, median([1000 * one.burst(100).seconds for _ in range(3)])))
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
