"""Charts as numbers for the templates that draw them: SVG with presentation attributes, made on the server. Pure.

A chart has no text of its own in the drawing, so that it can be stretched to any width: what is to be read stands beside
it in HTML, and a table behind it has every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

WIDTH = 720
"""Of a drawing, in its own units."""
HEIGHT = 100
GAP = 0.25
"""Of a bar's place, left free."""
SPARK_WIDTH = 96
SPARK_HEIGHT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar."""

    x: float
    y: float
    width: float
    height: float
    label: str
    """What it says when it is pointed at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Bars of one kind, with a scale of their own: hits and confirmations differ by orders of magnitude."""

    name: str
    """For the stylesheet: `hits`, `confirmations`, `rate`, `amount`."""
    label: str
    most: str
    """The highest bar's number, as people read it."""
    bars: tuple[Bar, ...]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One step in the table behind a chart."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Panels over the same steps of time."""

    title: str
    """What the chart shows and of when, in one sentence."""
    panels: tuple[Panel, ...]
    ticks: tuple[str, ...]
    """What is written below: the first, a middle and the last step."""
    headings: tuple[str, ...]
    """Of the table's columns."""
    lines: tuple[Line, ...]


NOTHING: Final = Chart(title="", panels=(), ticks=(), headings=(), lines=())
"""Stands for a chart that could not be read; it is never shown."""


def bars(values: Sequence[int | Decimal], labels: Sequence[str]) -> tuple[Bar, ...]:
    """Return a bar for each value, the highest as high as the drawing; negative ones are drawn as nothing.

    Anything that happened is at least a unit high, so that one hit beside ten thousand can be seen.
    """
    most = max(values, default=0)
    place = WIDTH / max(1, len(values))
    return tuple(
        Bar(
            x=round(place * number + place * GAP / 2, 2),
            y=round(HEIGHT - _height(value, most), 2),
            width=round(place * (1 - GAP), 2),
            height=round(_height(value, most), 2),
            label=label,
        )
        for number, (value, label) in enumerate(zip(values, labels, strict=True))
    )


def spark(values: Sequence[int]) -> str:
    """Return the points of a small line through the values, for `<polyline>`; empty where there are fewer than two."""
    if len(values) < 2:
        return ""
    low, most = min(0, *values), max(values)
    scale = (SPARK_HEIGHT - 2) / ((most - low) or 1)
    step = SPARK_WIDTH / (len(values) - 1)
    points = ((step * number, SPARK_HEIGHT - 1 - (value - low) * scale) for number, value in enumerate(values))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _height(value: int | Decimal, most: int | Decimal) -> float:
    return max(1.0, float(HEIGHT * value / most)) if value > 0 else 0.0
