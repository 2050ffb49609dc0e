"""Writes what was found: `report.json` for machines, `REPORT.md` for people."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from benchmarks import running

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from benchmarks.outcomes import Cost, Curve, Outcome

GOALS = {
    "P1": "hit, uvicorn + PostgreSQL, c=16",
    "P2": "hit, uvicorn + PostgreSQL, c=64",
    "P3": "the same, c=64, against raw ASGI",
    "P4": "the same, c=16 and c=64, against django-hype",
    "P5": "hit, uvicorn + PostgreSQL, c=1: latency",
    "P6": "hit, uvicorn + SQLite, c=16 and c=64",
    "P7": "hit, daphne + PostgreSQL, c=64",
    "P8a": "hit by the plain view, front off, c=16, against the empty sync view",
    "P8b": "the same, against django-hype",
    "P8c": "the same on uvicorn, links answered before the other middleware",
    "P9a": "hit, uvicorn + PostgreSQL, c=64: p99",
    "P9b": "hit, uvicorn + SQLite, c=64: p99",
    "P9c": "hit, daphne + PostgreSQL, c=64: p99",
    "P10": "fan-out burst, uvicorn",
    "P11": "fan-out burst, daphne",
    "P12": "trickle of 5 events/s, from request to arrival",
    "P13": "memory of an idle watcher",
    "P14": "callbacks, PostgreSQL, 8 partners",
    "P15": "callbacks, SQLite",
    "P16": "callbacks against Celery + requests",
    "P17": "one partner hangs",
    "P18": "dashboard, 5 M hits, PostgreSQL: every statistic",
    "P19": "the same, against the query over hits",
    "P20": "last 50 rows",
}
"""The rows of the table of goals. One that nothing measures is in the report all the same."""


def rows() -> tuple[str, ...]:
    """Return everything that can be asked for by `--only`."""
    return (*GOALS, *running.EXTRAS)


def is_known(asked: str) -> bool:
    """Whether this can be asked for: a row, the rows of one path, or a part of a row or of what stands beside the rows."""
    return any(running.is_asked(row, asked) or running.is_asked(asked, row) for row in rows())


def write(found: running.Run, *, facts: dict[str, Any], only: list[str], out: Path) -> None:
    """Write both files."""
    (out / "report.json").write_text(json.dumps(as_json(found, facts=facts), indent=1) + "\n")
    (out / "REPORT.md").write_text("\n".join(as_markdown(found, facts=facts, only=only)) + "\n")


def as_json(found: running.Run, *, facts: dict[str, Any]) -> dict[str, Any]:
    """Return everything: each figure with its goal, what was measured, every round of both sides, the counts."""
    results = found.results.as_json()
    for outcome, told in zip(found.results.outcomes, results["outcomes"], strict=True):
        told |= {
            "measured": outcome.measured,
            "ratio": outcome.ratio,
            "met": outcome.met,
            "stretched": outcome.stretched,
        }
    for curve, told in zip(found.results.curves, results["curves"], strict=True):
        told["exponent"] = round(curve.exponent, 3)
    return {"facts": facts, **results, "failures": found.failures}


def as_markdown(found: running.Run, *, facts: dict[str, Any], only: list[str]) -> Iterator[str]:
    """Give the lines of the report."""
    yield from ("# Benchmark report", "", summary(facts), "")
    yield from (
        "How to read this: [README.md](README.md). Goals that are missed, with profile and what was tried: [MISSED.md](MISSED.md).",
        "",
        "## Goals",
        "",
    )
    yield from goals(found, only=only)
    yield from (
        "",
        "## Absolute figures",
        "",
        "They hold for this machine and this hour; only the ratios above travel.",
        "",
    )
    yield from figures(found.results.outcomes)
    yield from section("Durable counts", counts(found.results.outcomes))
    yield from section("Pieces by themselves", costs(found.results.costs))
    yield from section("Growth", growth(found.results.curves))
    yield from section("What broke", failures(found.failures))
    yield from section("Versions and times", versions(facts))


def section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Give a section, unless there is nothing in it."""
    inside = list(lines)
    if inside:
        yield from ("", f"## {title}", "", *inside)


def table(heads: list[str], body: Iterable[list[str]]) -> Iterator[str]:
    """Give the lines of a table."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for cells in body:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def summary(facts: dict[str, Any]) -> str:
    """Return one line about when and on what."""
    length = "One short round" if facts["quick"] else "Full length"
    length += f" of {', '.join(facts['only'])}" if facts["only"] else " of the whole table"
    return (
        f"{length}, {facts['minutes']} minutes, {facts['date'][:10]}, commit {facts['commit']}. {facts['cpus']} CPUs "
        f"({facts['processor']}), {facts['memory_gib']} GiB, {facts['system']}, Python {facts['python']}; load client: "
        f"{facts['http_client']}; load of the machine when it began: {facts['load_before']}."
    )


# --- goals ----------------------------------------------------------------------------------------------------------------


def goals(found: running.Run, *, only: list[str]) -> Iterator[str]:
    """Give the table of goals: every row, in order, measured or not."""
    yield from table(["id", "what", "against", "goal", "measured", "met", "stretch"], _goal_cells(found, only=only))


def _goal_cells(found: running.Run, *, only: list[str]) -> Iterator[list[str]]:
    for row, what in GOALS.items():
        if only and not any(running.is_asked(row, asked) for asked in only):
            continue
        outcomes = [one for one in found.results.outcomes if one.row == row and one.goal is not None]
        for one in outcomes:
            yield [row, one.what, one.against, _limit(one, one.goal), _measured(one), _met(one), _stretch(one)]
        if not outcomes:
            yield [row, what, "", "", "**not measured**", "", ""]


def _limit(one: Outcome, limit: float | None) -> str:
    if limit is None:
        return ""
    return f"{'>=' if one.is_minimum else '<='} {_amount(one, limit)}"


def _amount(one: Outcome, value: float) -> str:
    return f"{number(value)} {one.unit}" if one.ratio is None else f"{number(value)}x"


def _measured(one: Outcome) -> str:
    return _amount(one, one.measured)


def _met(one: Outcome) -> str:
    broken = any(not count.holds for count in one.counts)
    return "**count wrong**" if broken else "yes" if one.met else "**no**"


def _stretch(one: Outcome) -> str:
    return f"{_limit(one, one.stretch)}{': yes' if one.stretched else ''}"


def number(value: float) -> str:
    """Return a number with three figures, or whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# --- figures --------------------------------------------------------------------------------------------------------------


def figures(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Give every figure with all its rounds, those without a goal too."""
    yield from table(
        ["id", "what", "ours", "against", "theirs", "unit", "also"],
        (
            [one.row, one.what, _rounds(one.ours), one.against, _rounds(one.theirs), one.unit, _also(one)]
            for one in outcomes
        ),
    )


def _rounds(values: list[float]) -> str:
    if not values:
        return ""
    middle = f"**{number(statistics.median(values))}**"
    return middle if len(values) == 1 else f"{middle} ({', '.join(number(value) for value in values)})"


def _also(one: Outcome) -> str:
    told = [
        f"{name} {number(value) if isinstance(value, (int, float)) else value}" for name, value in one.figures.items()
    ]
    return "; ".join(filter(None, [*told, one.notes]))


def counts(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Give the durable counts, each once."""
    told = dict.fromkeys((f"{one.row} {count.what}", count) for one in outcomes for count in one.counts)
    if not told:
        return
    yield from table(
        ["what", "found", "expected", "holds"],
        (
            [
                what,
                f"{count.found:,}",
                f"{'>= ' if count.at_least else ''}{count.expected:,}",
                "yes" if count.holds else "**NO**",
            ]
            for what, count in told
        ),
    )


def costs(found: Iterable[Cost]) -> Iterator[str]:
    """Give the pieces with their costs."""
    body = [[one.path, one.piece, _rounds(one.values), one.unit, one.notes] for one in found]
    if body:
        yield from table(["path", "piece", "cost", "unit", "notes"], body)


def growth(curves: Iterable[Curve]) -> Iterator[str]:
    """Give the curves: the points in a row, with the exponent between logarithms."""
    body = [
        [
            curve.path,
            curve.what,
            curve.size,
            " · ".join(_point(curve, *point) for point in curve.points),
            _slope(curve),
            curve.notes,
        ]
        for curve in found_in_order(curves)
    ]
    if body:
        yield "Exponent: 0 is flat, 1 is linear; above linear is marked."
        yield ""
        yield from table(["path", "act", "what grows", "size: cost", "exponent", "notes"], body)


def found_in_order(curves: Iterable[Curve]) -> list[Curve]:
    """Return the curves, those of one path together."""
    return sorted(curves, key=lambda curve: curve.path)


def _point(curve: Curve, size: float, cost: float) -> str:
    return f"{size:,.0f}: {number(cost)} {curve.unit}"


def _slope(curve: Curve) -> str:
    slope = f"{curve.exponent:.2f}"
    return f"**{slope}**" if curve.is_above_linear else slope


# --- the rest -------------------------------------------------------------------------------------------------------------


def failures(found: dict[str, str]) -> Iterator[str]:
    """Give what broke, with what it said last."""
    for name, told in found.items():
        yield from (f"### {name}", "", "```", told.strip(), "```", "")


def versions(facts: dict[str, Any]) -> Iterator[str]:
    """Give the versions of what was measured, and how long each measurement took."""
    yield ", ".join(f"{name} {version}" for name, version in facts["packages"].items()) + "."
    yield ""
    yield "Seconds: " + ", ".join(f"{name} {seconds:g}" for name, seconds in facts["seconds"].items()) + "."
