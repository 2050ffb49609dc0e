"""How often pages are read anew while somebody looks that show more than the log: the log says nothing when that changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from livereferrals.dashboard.ranges import Span

BEATS: Final = {
    "live_feed": timedelta(seconds=5),
    "triggers": timedelta(seconds=2),
    "tokens": timedelta(seconds=2),
    "status": timedelta(seconds=5),
}
"""By the page's name. A page without a beat changes when an event is numbered, or its range turns over."""


def beat_of(page: str, *, now: datetime) -> Span | None:
    """Return the beat of the page that this moment lies in; its end is when the page is read anew."""
    every = BEATS.get(page)
    if every is None:
        return None
    start = datetime.fromtimestamp(now.timestamp() // every.total_seconds() * every.total_seconds(), tz=UTC)
    return Span(start=start, end=start + every)
