from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.dashboard.ranges import (
    Dates,
    Range,
    day_of,
    days,
    hour_of,
    hours,
    midnight,
    parse_range,
    span_before,
    span_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
ZONES = [BERLIN, KATHMANDU, ZoneInfo("America/New_York"), ZoneInfo("UTC"), ZoneInfo("Pacific/Chatham")]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("chosen", "start", "end"),
    [
        (Range.TODAY, "2026-11-20T23:00", "2026-11-21T23:00"),
        (Range.DAY, "2026-11-20T10:00", "2026-11-21T10:00"),
        (Range.WEEK, "2026-11-14T23:00", "2026-11-21T23:00"),
        (Range.MONTH, "2026-10-22T22:00", "2026-11-21T23:00"),
    ],
)
def test_each_range_is_half_open_in_the_projects_zone(chosen, start, end):
    """dashboard.md 6"""
    span = span_of(chosen, now=utc("2026-11-21T09:30"), zone=BERLIN)
    assert (span.start, span.end) == (utc(start), utc(end))
    assert span.start in span
    assert span.end not in span


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-21", 24)])
def test_days_of_23_and_25_hours_are_whole(day, hours):
    """dashboard-48"""
    noon = datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=BERLIN).replace(hour=12)
    span = span_of(Range.TODAY, now=noon.astimezone(UTC), zone=BERLIN)
    assert span.end - span.start == timedelta(hours=hours)
    moments = [span.start + timedelta(minutes=30 * half) for half in range(2 * hours)]
    assert {day_of(moment, zone=BERLIN) for moment in moments} == {date.fromisoformat(day)}
    assert len({hour_of(moment, zone=BERLIN) for moment in moments}) == hours


def test_hours_begin_at_the_zones_full_hours():
    """dashboard-47: Kathmandu is 5:45 ahead"""
    assert hour_of(utc("2026-11-21T09:30"), zone=KATHMANDU) == utc("2026-11-21T09:15")
    assert midnight(date(2026, 11, 21), zone=KATHMANDU) == utc("2026-11-20T18:15")


@given(moment=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2040, 1, 1)), zone=st.sampled_from(ZONES))  # noqa: DTZ001 - made aware below
def test_every_moment_lies_in_its_hour_and_each_range_of_its_time(moment, zone):
    """dashboard.md 6"""
    now = moment.replace(tzinfo=UTC)
    assert timedelta(0) <= now - hour_of(now, zone=zone) < timedelta(hours=1)
    for chosen in Range:
        span = span_of(chosen, now=now, zone=zone)
        assert now in span
        assert hour_of(span.start, zone=zone) == span.start
        assert hour_of(span.end, zone=zone) == span.end


def test_name_of_a_span_changes_when_the_range_turns_over():
    """dashboard-47"""
    before = span_of(Range.TODAY, now=utc("2026-11-21T22:59"), zone=BERLIN)
    after = span_of(Range.TODAY, now=utc("2026-11-21T23:00"), zone=BERLIN)
    assert before.name != after.name


@given(
    now=st.integers(946_684_800, 2_208_988_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
    zone=st.sampled_from([*ZONES, ZoneInfo("Australia/Lord_Howe")]),
)
def test_hours_and_days_of_a_span_join_without_gap(now, zone):
    """dashboard-48"""
    for chosen in (Range.TODAY, Range.DAY, Range.WEEK):
        span = span_of(chosen, now=now, zone=zone)
        for parts in (
            list(hours(span, zone=zone)),
            *([list(days(span, zone=zone))] if chosen is not Range.DAY else []),
        ):
            assert parts[0].start == span.start
            assert parts[-1].end == span.end
            assert all(one.end == other.start for one, other in pairwise(parts))


@pytest.mark.parametrize("chosen", [Range.DAY, Range.WEEK, Range.MONTH])
def test_span_before_ends_where_the_span_begins(chosen):
    """dashboard.md 2: the change against the range before"""
    now = utc("2026-11-21T09:30")
    before, span = span_before(chosen, now=now, zone=BERLIN), span_of(chosen, now=now, zone=BERLIN)
    assert before.end == span.start
    assert abs((before.end - before.start) - (span.end - span.start)) <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("now", "end"), [("2026-11-21T09:30", "2026-11-20T10:00"), ("2026-11-20T23:10", "2026-11-20T00:00")]
)
def test_today_is_compared_with_the_same_hours_of_yesterday(now, end):
    """dashboard.md 2"""
    before = span_before(Range.TODAY, now=utc(now), zone=BERLIN)
    assert before.start == span_of(Range.TODAY, now=utc(now), zone=BERLIN).start - timedelta(days=1)
    assert before.end == utc(end)


def test_picked_days_are_whole_and_compared_with_as_many_before():
    """dashboard-48: a range of one's own choice"""
    picked = parse_range("2026-10-24..2026-10-26")
    assert picked == Dates(first=date(2026, 10, 24), last=date(2026, 10, 26))
    span = span_of(picked, now=utc("2030-01-01T00:00"), zone=BERLIN)
    assert (span.start, span.end) == (utc("2026-10-23T22:00"), utc("2026-10-26T23:00"))
    assert span_before(picked, now=utc("2030-01-01T00:00"), zone=BERLIN).end == span.start
    assert str(picked) == "2026-10-24..2026-10-26"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "year",
        "2026-10-24",
        "2026-10-26..2026-10-24",
        "2026-02-30..2026-03-01",
        "2020-01-01..2026-01-01",
        "..",
        "0001-01-01..0001-01-02",
        "9999-12-31..9999-12-31x",
        "2026-10-24...2026-10-25",
    ],
)
def test_range_that_means_nothing_is_none(text):
    """dashboard-25"""
    assert parse_range(text) is None
