from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from livereferrals.dashboard.access import Rights
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.ranges import Range
from livereferrals.dashboard.viewpoints import Viewpoint

pytestmark = pytest.mark.once

NOW = datetime(2026, 11, 21, 11, 20, 3, tzinfo=UTC)


def viewpoint(view: str) -> Viewpoint:
    return Viewpoint(
        view=view, filters=Filters(range=Range.MONTH), rights=Rights(amounts=True), language="en", zone="UTC"
    )


def test_page_with_a_beat_has_the_span_of_its_range() -> None:
    """dashboard-47: how often it is read anew says nothing of what its numbers are of"""
    beating = viewpoint("live_feed")
    assert beating.span(now=NOW) == viewpoint("overview").span(now=NOW)
    assert beating.period(now=NOW).end == NOW.replace(second=5)
    assert beating.period(now=NOW).name != beating.period(now=NOW + timedelta(seconds=2)).name


def test_page_without_one_stays_right_until_its_range_turns_over() -> None:
    """dashboard-47"""
    still = viewpoint("overview")
    span, period = still.span(now=NOW), still.period(now=NOW)
    assert (period.name, period.end) == (span.name, span.end)
