from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.ranges import Dates, Range
from livereferrals.events.models import EventType


def test_query_is_read_and_written_in_one_canonical_form():
    """dashboard-21"""
    filters, unknown = Filters.parse("type=delivery&range=7d&type=hit&type=hit")
    assert filters == Filters(range=Range.WEEK, types=(EventType.HIT, EventType.DELIVERY))
    assert unknown == ()
    assert filters.query() == "range=7d&type=hit&type=delivery"
    assert Filters().query() == ""


@pytest.mark.parametrize(
    ("query", "unknown"),
    [("range=year", ("year",)), ("type=moon&type=hit", ("moon",)), ("range=&type=", ("", "")), ("foo=bar", ())],
)
def test_unknown_values_are_left_out_and_named(query, unknown):
    """dashboard-25"""
    filters, found = Filters.parse(query)
    assert sorted(found) == sorted(unknown)
    assert filters.range is Range.TODAY


def test_query_of_nothing_but_separators_gives_filters():
    """dashboard-25: Django's own parser refuses more than a thousand fields"""
    assert Filters.parse("&" * 5000) == (Filters(), ())


@given(range_=st.sampled_from(Range), types=st.sets(st.sampled_from(EventType)))
def test_written_query_reads_back_as_the_same_filters(range_, types):
    """dashboard-21"""
    filters = Filters(range=range_, types=tuple(kind for kind in EventType if kind in types))
    assert Filters.parse(filters.query()) == (filters, ())
    assert filters.hash() == Filters.parse(filters.query())[0].hash()


@given(query=st.text(max_size=300))
def test_any_query_gives_filters(query):
    """dashboard-25"""
    assert isinstance(Filters.parse(query)[0].range, Range | Dates)


def test_hash_differs_with_the_filters():
    """dashboard-22"""
    every = [Filters(range=chosen).hash() for chosen in Range] + [Filters().toggled(kind).hash() for kind in EventType]
    assert len(set(every)) == len(every)


def test_toggling_a_type_twice_gives_the_filters_back():
    """dashboard-23"""
    once = Filters().toggled(EventType.CLAIM)
    assert once.types == (EventType.CLAIM,)
    assert once.toggled(EventType.CLAIM) == Filters()
    assert once.with_range(Range.DAY).types == once.types


def test_days_of_a_form_become_one_canonical_range():
    """dashboard-21"""
    filters, unknown = Filters.parse("from=2026-11-01&to=2026-11-15&type=hit")
    assert unknown == ()
    assert filters.query() == "range=2026-11-01..2026-11-15&type=hit"
    assert Filters.parse(filters.query()) == (filters, ())


def test_days_in_the_wrong_order_are_left_out_and_named():
    """dashboard-25"""
    filters, unknown = Filters.parse("from=2026-11-15&to=2026-11-01")
    assert (filters, unknown) == (Filters(), ("2026-11-15..2026-11-01",))
