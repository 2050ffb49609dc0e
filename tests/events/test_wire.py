"""The event object and its canonical form."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals import ids
from livereferrals.events import wire
from livereferrals.events.models import Event, EventType

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]))
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet=st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(values)
def test_canonical_form_keeps_the_value(value: object) -> None:
    """feed-58 What is written in canonical form is read back as the same value."""
    assert json.loads(wire.canonical(value)) == value


def test_canonical_form_is_sorted_dense_and_unescaped_utf_8() -> None:
    """feed-58 Sorted keys, no spaces, non-ASCII unescaped, UTF-8."""
    value = {"b": [1, 2], "a": {"z": "Grüße", "y": None}}
    assert wire.canonical(value) == '{"a":{"y":null,"z":"Grüße"},"b":[1,2]}'.encode()


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 8, 58, 3, 1200, tzinfo=UTC), "2026-11-21T08:58:03.001200Z"),
        (datetime(2026, 11, 21, 9, 0, tzinfo=UTC), "2026-11-21T09:00:00.000000Z"),
        (datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2026-06-30T23:30:00.000000Z"),
    ],
    ids=["microseconds", "whole second", "other offset"],
)
def test_times_are_utc_with_microseconds(moment: datetime, text: str) -> None:
    """feed-1 RFC 3339, UTC, `Z`, six digits, so that times compare as text."""
    assert wire.rfc3339(moment) == text


def an_event(**overrides: object) -> Event:
    values = {
        "id": uuid.UUID("01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11"),
        "seq": 1841,
        "type": EventType.HIT,
        "occurred_at": datetime(2026, 11, 21, 8, 58, 3, 1200, tzinfo=UTC),
        "partner": "Ab3dEf9h",
        "link": uuid.UUID("01a3c1f0-0000-7000-8000-000000000001"),
        "link_identifier": "spring",
        "user": "17",
        "data": {"repeat": False},
    }
    return Event(**values | overrides)


def test_event_object_has_every_field_of_the_protocol() -> None:
    """feed-18 The object of feed protocol 5.4, field for field; the user's primary key is not in it."""
    assert wire.event_object(an_event(), epoch="k3f9") == {
        "v": 1,
        "cursor": "k3f9.1841",
        "id": "01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11",
        "type": "hit",
        "time": "2026-11-21T08:58:03.001200Z",
        "partner": "Ab3dEf9h",
        "link": {"id": "01a3c1f0-0000-7000-8000-000000000001", "identifier": "spring"},
        "data": {"repeat": False},
    }


def test_what_is_unknown_is_null() -> None:
    """feed-18 Without number, partner and link the fields are null, not absent."""
    wired = wire.event_object(an_event(seq=None, partner="", link=None), epoch="k3f9")
    assert (wired["cursor"], wired["partner"], wired["link"]) == (None, None, None)


def test_user_hash_is_stable_for_one_partner_and_not_comparable_between_two() -> None:
    """feed-18 `u_` and 22 of base 62, the same for one key and user, another for another key or user."""
    mine, other = ids.random_key(), ids.random_key()
    name = wire.user_hash("17", key=mine)
    assert name == wire.user_hash("17", key=mine)
    assert len({name, wire.user_hash("18", key=mine), wire.user_hash("17", key=other)}) == 3
    assert name.startswith("u_")
    assert name[2:].isalnum()


def test_user_hash_is_what_it_was_in_the_first_release() -> None:
    """feed-18 Partners store these names, so that they never change."""
    assert wire.user_hash("17", key="00" * 32) == "u_xsprOlM5eULnZt3YTajNlC"
