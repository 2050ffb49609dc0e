"""The feed's codes and what a client may say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol
from livereferrals.streaming.protocol import ENDINGS, Ack, Ping, parse_client_message


def test_codes_follow_the_class_rule() -> None:
    """feed-45: below 4500 a client comes back, from there on it stops; daphne closes with 3000 to 4999 only"""
    comes_back = {code for code, ending in ENDINGS.items() if ending.retry}
    assert comes_back == {
        "restart",
        "resync",
        "slow_consumer",
        "unavailable",
        "max_age",
        "rate_limited",
        "too_many_connections",
    }
    assert all(4000 <= ending.close <= 4999 for ending in ENDINGS.values())


def test_scopes_cover_every_event_type_once() -> None:
    """feed-17"""
    named = [name for names in protocol.SCOPE_TYPES.values() for name in names]
    assert sorted(named) == sorted(protocol.TYPES)


def test_ack_and_ping_are_understood() -> None:
    """feed-44"""
    assert parse_client_message('{"type":"ack","cursor":"k3f9.12"}', max_bytes=100) == Ack(Cursor("k3f9", 12))
    assert parse_client_message('{"type":"ping","id":"x","more":1}', max_bytes=100) == Ping("x")


def test_unknown_type_means_nothing() -> None:
    """feed-46"""
    assert parse_client_message('{"type":"future","cursor":5}', max_bytes=100) is None


def test_size_is_counted_in_bytes() -> None:
    """feed-45"""
    text = json.dumps({"type": "x", "pad": "ü" * 40}, ensure_ascii=False)
    assert parse_client_message(text, max_bytes=len(text.encode())) is None
    with pytest.raises(FeedError, match="at most"):
        parse_client_message(text, max_bytes=len(text.encode()) - 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.text() | json_values.map(json.dumps) | st.dictionaries(st.just("type"), json_values).map(json.dumps))
def test_whatever_a_client_says_is_understood_or_a_protocol_error(text: str) -> None:
    """feed-45"""
    try:
        parse_client_message(text, max_bytes=4096)
    except FeedError as error:
        assert error.code == "protocol_error"  # noqa: PT017 - any other exception fails the test by itself
