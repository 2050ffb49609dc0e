"""Ids that follow from the old row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals import ids
from livereferrals.management.importing.lasting_ids import lasting_uuid

pytestmark = pytest.mark.once
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is beside


@given(MOMENTS, st.integers(1))
def test_same_row_has_the_same_id_and_belongs_to_its_time(moment: datetime, number: int) -> None:
    """I-02: a UUID version 7 like all others, so that lists by id show it where it belongs"""
    made = lasting_uuid(moment, "table", number)
    assert made == lasting_uuid(moment, "table", number)
    assert made != lasting_uuid(moment, "table", number + 1)
    assert made != lasting_uuid(moment, "other", number)
    assert (made.version, made.variant) == (7, ids.new_uuid().variant)
    assert made.int >> 80 == ids.first_uuid(moment).int >> 80


def test_times_that_no_id_can_hold_are_brought_to_its_bounds() -> None:
    """I-13: before 1970"""
    assert lasting_uuid(datetime(1900, 1, 1, tzinfo=UTC), "table", 1).int >> 80 == 0
