"""The server that plays the partner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from project.receiver import CALLS_KEPT, Receiver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    receiver = Receiver(tmp_path / "calls.jsonl")
    await receiver.start(None)
    yield receiver
    await receiver.stop()


async def log(receiver: Receiver) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(receiver.log_url) as answer:
        assert answer.content_type == "application/json"
        found: list[dict[str, Any]] = await answer.json()
        return found


async def test_call_is_written_down_as_it_came(receiver: Receiver) -> None:
    url, headers = f"{receiver.url}/a%20b?x=1&x=%26", {"X-Own": "yes"}
    async with aiohttp.ClientSession() as session, session.post(url, data="grüße", headers=headers) as answer:
        assert answer.status == 204
    (call,) = await log(receiver)
    assert (call["method"], call["path"], call["query"]) == ("POST", "/callback/a%20b", "x=1&x=%26")
    assert (call["headers"]["X-Own"], call["body"]) == ("yes", "grüße")
    assert call["time"].endswith("Z")


async def test_looking_at_the_log_is_no_call(receiver: Receiver) -> None:
    await log(receiver)
    assert await log(receiver) == []


async def test_taken_port_is_replaced_by_a_free_one(receiver: Receiver, tmp_path: Path) -> None:
    second = Receiver(tmp_path / "second.jsonl")
    await second.start(receiver.port)
    try:
        assert second.port not in {0, receiver.port}
        assert await log(second) == []
    finally:
        await second.stop()


def test_book_is_read_again_and_kept_short(tmp_path: Path) -> None:
    book = tmp_path / "calls.jsonl"
    book.write_text("".join(f"{json.dumps({'number': number})}\n" for number in range(CALLS_KEPT + 10)) + '{"half')
    assert [call["number"] for call in Receiver(book).calls][:1] == [10]
    assert len(book.read_text().splitlines()) == CALLS_KEPT
