"""What the URL of a reader asks for."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming.parameters import KNOWN, Parameters, check_url_length, parse_parameters

LINK = uuid.UUID("01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11")


def test_nothing_given_is_live_and_everything() -> None:
    """feed-1"""
    assert parse_parameters("") == Parameters()


def test_everything_given_is_read() -> None:
    """feed-36"""
    query = f"cursor=k3f9.12&types=hit,claim&links={LINK}&on_gap=oldest&ack=1&batch=7&other=1"
    assert parse_parameters(query) == Parameters(
        cursor=Cursor("k3f9", 12),
        types=frozenset({"hit", "claim"}),
        links=frozenset({LINK}),
        passes_gap=True,
        acks=True,
        batch=7,
    )


def test_oldest_and_newest_are_words() -> None:
    """feed-33"""
    assert parse_parameters("cursor=oldest") == Parameters(from_oldest=True)
    assert parse_parameters("cursor=newest") == Parameters()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T09:00:00Z", datetime(2026, 11, 21, 9, tzinfo=UTC)),
        ("2026-11-21t09:00:00.5z", datetime(2026, 11, 21, 9, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-21T09:00:00%2B01:00", datetime(2026, 11, 21, 9, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_since_is_a_time_with_an_offset(text: str, moment: datetime) -> None:
    """feed-37"""
    assert parse_parameters(f"since={text}").since == moment


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_since_beyond_the_calendar_is_told(text: str) -> None:
    """feed-37: a day that exists where it was written, and nowhere in UTC"""
    with pytest.raises(FeedError, match="a year from 1 to 9999") as refused:
        parse_parameters(f"since={text}")
    assert refused.value.code == "bad_request"


def test_message_of_a_doubled_parameter_names_it() -> None:
    """feed-36"""
    with pytest.raises(FeedError, match="`types` is given twice") as refused:
        parse_parameters("types=hit&types=claim")
    assert refused.value.code == "bad_request"


def test_url_has_a_bound() -> None:
    """feed-32"""
    check_url_length("/feed", "x" * 4091)
    with pytest.raises(FeedError):
        check_url_length("/feed", "x" * 4092)


@given(st.dictionaries(st.sampled_from(KNOWN), st.text()).map(urlencode) | st.text())
def test_any_query_is_read_or_refused(query: str) -> None:
    """feed-36"""
    try:
        parse_parameters(query)
    except FeedError as error:
        assert error.code in {"bad_request", "bad_cursor"}  # noqa: PT017 - any other exception fails the test by itself
