from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.dashboard import messages
from livereferrals.exceptions import FeedError


@given(text=st.none() | st.text(max_size=200) | st.just("[" * 4096))
def test_any_text_is_a_message_or_a_protocol_error(text):
    """dashboard.md 4"""
    try:
        code = None if isinstance(messages.parse(text)["type"], str) else "not a message"
    except FeedError as error:
        code = error.code
    assert code in {None, "protocol_error"}


@pytest.mark.parametrize("length", [4096, 4097])
def test_message_is_bounded(length):
    """dashboard.md 4"""
    text = json.dumps({"type": "ping", "pad": ""})
    text = text[:-2] + "x" * (length - len(text)) + text[-2:]
    assert len(text) == length
    if length > messages.MAX_MESSAGE:
        with pytest.raises(FeedError):
            messages.parse(text)
    else:
        assert messages.parse(text)["type"] == "ping"


def test_control_begins_with_a_brace():
    """dashboard.md 4: what begins with `{` is control"""
    assert messages.control("lag", seconds=2) == '{"type":"lag","seconds":2}'
