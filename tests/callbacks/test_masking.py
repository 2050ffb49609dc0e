"""What is masked or made storable before anybody sees it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.callbacks import masking

pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", ["token", "api_key", "SECRET", "password", "sig", "auth", "x-signature"])
def test_secret_query_values_are_masked(name: str) -> None:
    """callback-S11: values named like a secret."""
    assert masking.url(f"https://p.example/a?x=1&{name}=abc&y=2") == f"https://p.example/a?x=1&{name}=***&y=2"


def test_secret_headers_are_masked() -> None:
    """callback-S11: those marked secret, and those that look it."""
    given = {"X-Custom": "1", "X-Mine": "2", "Authorization": "Bearer x", "webhook-signature": "v1,x"}
    shown = masking.headers(given, secret=["x-mine"])
    assert shown == {"X-Custom": "1", "X-Mine": "***", "Authorization": "***", "webhook-signature": "***"}


def test_repeated_secret_is_masked_in_an_answer() -> None:
    """callback-S11: a server may repeat what it was sent."""
    assert masking.without("you sent whsec_abc!", ["whsec_abc", "x"]) == "you sent ***!"


@given(data=st.binary(max_size=300))
def test_any_bytes_become_text_that_can_be_stored(data: bytes) -> None:
    """callback-S8, callback-S10: no NUL, no surrogate, no control character, bounded."""
    text = masking.storable(data, limit=200)
    assert len(text) <= 200
    assert "\x00" not in text
    text.encode()
    assert not any(ord(character) < 32 and character not in "\t\n" for character in text)
