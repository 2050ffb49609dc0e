"""Cursors: text to place and back (feed protocol, 4)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.events.cursors import MAX_SEQ, Cursor
from livereferrals.exceptions import InvalidCursor

epochs = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=4, max_size=16)
seqs = st.integers(min_value=0, max_value=MAX_SEQ)

GARBAGE = {
    "empty": "",
    "dot": ".",
    "no number": "k3f9.",
    "short epoch": "a.1",
    "no epoch": ".1",
    "no dot": "k3f91",
    "negative": "k3f9.-1",
    "plus": "k3f9.+1",
    "leading zero": "k3f9.01",
    "exponent": "k3f9.1e3",
    "fraction": "k3f9.1.0",
    "underscore": "k3f9.1_000",
    "5,000 characters": "k3f9." + "1" * 5000,
    "5,000 letters": "k" * 5000 + ".1",
    "NUL": "k3f9.1\0",
    "encoded NUL": "k3f9.1%00",
    "newline": "k3f9.1\n",
    "space": " k3f9.1",
    "full-width digits": "k3f9.\uff11\uff12",
    "Arabic digits": "k3f9.\u0661",
    "upper case": "K3F9.1",
    "2^63": f"k3f9.{2**63}",
    "word": "oldest",
}


@given(epoch=epochs, seq=seqs)
def test_a_cursor_survives_being_printed_and_read(epoch: str, seq: int) -> None:
    """feed-32 A cursor that the server printed is read as the same place, up to 2^63 - 1."""
    cursor = Cursor(epoch, seq)
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    """feed-32 Whatever a client sends is a cursor that prints as itself, or an `InvalidCursor`; nothing else happens."""
    try:
        cursor = Cursor.parse(text)
    except InvalidCursor:
        return
    assert str(cursor) == text


@given(st.from_regex(re.compile(r"[a-z0-9]{3,17}\.[0-9]{1,20}"), fullmatch=True))
def test_what_nearly_is_a_cursor_prints_as_itself_or_is_refused(text: str) -> None:
    """feed-32 Near the bounds of length, number and leading zeros there is one spelling for each place."""
    epoch, _, number = text.partition(".")
    proper = 4 <= len(epoch) <= 16 and str(int(number)) == number and int(number) <= MAX_SEQ
    if proper:
        assert str(Cursor.parse(text)) == text
    else:
        with pytest.raises(InvalidCursor):
            Cursor.parse(text)


@pytest.mark.parametrize("text", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_with_the_form_to_write(text: str) -> None:
    """feed-32 The garbage table; the message says what a cursor looks like and does not repeat the garbage."""
    with pytest.raises(InvalidCursor, match=r"k3f9\.1840") as refused:
        Cursor.parse(text)
    assert len(str(refused.value)) < 200
