"""How long a page shows what is so although the log says nothing new: its range turns over, and some pages have a beat.

A page with a beat shows more than the log: it is read anew at each beat while somebody looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from livereferrals.dashboard.ranges import Span

BEATS: Final = {
    "live_feed": timedelta(seconds=5),
    "triggers": timedelta(seconds=2),
    "tokens": timedelta(seconds=2),
    "status": timedelta(seconds=5),
}
"""By the page's name. A page without a beat changes when an event is numbered, or its range turns over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The time between two readings of a page."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time in which a page that was read stays right, if nothing is logged."""

    name: str
    """Short text that differs when the period differs; goes into `data-period`."""
    end: datetime


def beat_of(page: str, *, now: datetime) -> Beat | None:
    """Return the beat of the page that this moment lies in; its end is when the page is read anew."""
    every = BEATS.get(page)
    if every is None:
        return None
    start = datetime.fromtimestamp(now.timestamp() // every.total_seconds() * every.total_seconds(), tz=UTC)
    return Beat(start=start, end=start + every)


def period_of(page: str, span: Span, *, now: datetime) -> Period:
    """Return the page's period at this moment: its beat, else the span of its range. Beats are shorter than any range."""
    beat = beat_of(page, now=now)
    if beat is None:
        return Period(name=span.name, end=span.end)
    return Period(name=str(int(beat.start.timestamp())), end=beat.end)
