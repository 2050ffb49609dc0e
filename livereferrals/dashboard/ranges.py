"""Spans of time that numbers are shown for, in the project's zone. Pure: the time and the zone come in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

HOUR = timedelta(hours=1)


class Range(StrEnum):
    """The ranges that can be chosen."""

    TODAY = "today"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """A range of the project's days that somebody has picked, first and last included."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"

    @property
    def count(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1


MOST_DAYS = 400
"""Of a picked range: a year and what stands around it; each day is a bar and a line of a table."""


def parse_range(text: str) -> Range | Dates | None:
    """Return the range that a text names: `today`, `24h`, `7d`, `30d`, or `2026-11-01..2026-11-15`; else nothing."""
    if text in list(Range):
        return Range(text)
    first, dots, last = text.partition("..")
    try:
        found = Dates(first=date.fromisoformat(first), last=date.fromisoformat(last))
    except ValueError:
        return None
    return found if dots and 0 < found.count <= MOST_DAYS and found.first.year >= OLDEST_YEAR else None


OLDEST_YEAR = 2000
"""Before it nothing was recorded, and calendars of zones become strange."""
DAYS_BEFORE = {Range.TODAY: 0, Range.WEEK: 6, Range.MONTH: 29}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open span of time, `[start, end)`, in UTC."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def name(self) -> str:
        """Short text that differs when the span differs."""
        return str(int(self.start.timestamp()))


def hour_of(moment: datetime, *, zone: tzinfo) -> datetime:
    """Return the beginning of the zone's full hour that the moment lies in, in UTC.

    A zone with an offset of :30 or :45 has its hours at other moments than UTC.
    """
    return moment.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def day_of(moment: datetime, *, zone: tzinfo) -> date:
    """Return the zone's day that the moment lies in."""
    return moment.astimezone(zone).date()


def next_month(day: date) -> date:
    """Return the first day of the month after the day's."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def midnight(day: date, *, zone: tzinfo) -> datetime:
    """Return the beginning of the zone's day, in UTC. Days of 23 and 25 hours come out whole."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def span_of(chosen: Range | Dates, *, now: datetime, zone: tzinfo) -> Span:
    """Return the span that a range means at this moment.

    `24h` is the running hour and the 23 before it; the other names end at the zone's next midnight.
    """
    if isinstance(chosen, Dates):
        return _days(chosen.first, chosen.count, zone=zone)
    if chosen is Range.DAY:
        hour = hour_of(now, zone=zone)
        return Span(start=hour - 23 * HOUR, end=hour + HOUR)
    today = day_of(now, zone=zone)
    return Span(
        start=midnight(today - timedelta(days=DAYS_BEFORE[chosen]), zone=zone),
        end=midnight(today + timedelta(days=1), zone=zone),
    )


def hours(span: Span, *, zone: tzinfo) -> Iterator[Span]:
    """Give the zone's full hours of a span that begins and ends with one; 23 or 25 of a day when clocks change."""
    start = span.start
    while start < span.end:
        # The zone's hour that lies an hour later; in it again, where clocks go back by half an hour (Lord Howe).
        later = hour_of(start + HOUR, zone=zone)
        end = later if later > start else start + HOUR
        yield Span(start=start, end=end)
        start = end


def days(span: Span, *, zone: tzinfo) -> Iterator[Span]:
    """Give the zone's days that a span touches, whole."""
    day = day_of(span.start, zone=zone)
    start = midnight(day, zone=zone)
    while start < span.end:
        day += timedelta(days=1)
        end = midnight(day, zone=zone)
        yield Span(start=start, end=end)
        start = end


def span_before(chosen: Range | Dates, *, now: datetime, zone: tzinfo) -> Span:
    """Return the span to compare with: as many hours or days, just before; of today the same hours of yesterday.

    A morning that was compared with the whole of yesterday would always look like a collapse.
    """
    if isinstance(chosen, Dates):
        return _days(chosen.first - timedelta(days=chosen.count), chosen.count, zone=zone)
    span = span_of(chosen, now=now, zone=zone)
    if chosen is Range.DAY:
        return Span(start=span.start - 24 * HOUR, end=span.start)
    first = day_of(span.start, zone=zone)
    start = midnight(first - timedelta(days=DAYS_BEFORE[chosen] + 1), zone=zone)
    if chosen is Range.TODAY:
        return Span(start=start, end=min(start + (hour_of(now, zone=zone) + HOUR - span.start), span.start))
    return Span(start=start, end=span.start)


def _days(first: date, count: int, *, zone: tzinfo) -> Span:
    return Span(start=midnight(first, zone=zone), end=midnight(first + timedelta(days=count), zone=zone))
