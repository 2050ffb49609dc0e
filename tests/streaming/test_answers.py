"""The table of close codes and statuses (feed protocol, 9), row by row: what a reader gets for each code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from livereferrals.exceptions import FeedError
from livereferrals.streaming import answers
from livereferrals.streaming.protocol import ENDINGS
from livereferrals.streaming.sockets import Socket
from tests.conformance.following import ENDINGS as PROMISED

pytestmark = pytest.mark.once

rows = pytest.mark.parametrize(("code", "close", "status"), [(code, *row) for code, row in PROMISED.items()])


def test_table_is_whole() -> None:
    """feed-45"""
    assert ENDINGS.keys() == PROMISED.keys()


@rows
async def test_socket_says_why_and_closes_with_the_code(code: str, close: int, status: int | None) -> None:
    """feed-5, feed-45: in this order, and nothing after it"""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    socket = Socket(send)
    await socket.refuse(FeedError(code, "Why."))
    await socket.close(1000)
    said, closed = sent[:2]
    error = json.loads(said["text"])
    assert (error["type"], error["code"], error["close"], error["retry"]) == ("error", code, close, close < 4500)
    assert (closed["type"], closed["code"]) == ("websocket.close", close)
    assert sent[2:] == []


@rows
def test_answer_has_the_status_and_its_headers(code: str, close: int, status: int | None) -> None:
    """feed-5, feed-47: what has no status of its own may be asked again"""
    answer = answers.refusal(FeedError(code, "Why.", oldest="k3f9.1", newest="k3f9.2"))
    error = json.loads(answer.content)
    assert answer.status_code == (status or 503)
    assert answer["Content-Type"] == "application/json"
    assert (error["code"], error["close"], error["retry"]) == (code, close, close < 4500)
    assert (error["oldest"], error["newest"]) == ("k3f9.1", "k3f9.2")
    assert answer.has_header("WWW-Authenticate") == (answer.status_code == 401)
    comes_back = answer.status_code in {429, 503}
    assert answer.has_header("Retry-After") == comes_back
    assert not comes_back or 0 < error["retry_after_s"] <= int(answer["Retry-After"])
