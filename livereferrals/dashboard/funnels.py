"""From hits to confirmations: how many are left at each stage. Pure but for the language."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from livereferrals.dashboard import wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livereferrals.dashboard.statistics import Numbers

WIDTH = 100
"""Of the widest bar, in the drawing's own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage."""

    name: str
    label: str
    text: str
    """How many, as people read it."""
    share: str
    """Which part of the first stage that is; empty for the first itself."""
    width: float


def funnel(numbers: Numbers, *, names: Sequence[str]) -> tuple[Stage, ...]:
    """Return the stages with these names, each as wide as its part of the first."""
    first: int = getattr(numbers, names[0])
    return tuple(_stage(name, getattr(numbers, name), first, is_first=name == names[0]) for name in names)


def _stage(name: str, value: int, first: int, *, is_first: bool) -> Stage:
    # More of a later stage than of the first is possible: yesterday's hit is today's confirmation.
    part = Decimal(value) / first if first > 0 else Decimal(0)
    return Stage(
        name=name,
        label=str(wording.STAGES[name]),
        text=wording.whole_number(value),
        share="" if is_first or first <= 0 else wording.per_cent(part),
        width=round(float(min(max(part, Decimal(0)), Decimal(1))) * WIDTH, 2),
    )
