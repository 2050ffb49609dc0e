"""What only the HTTP twins have (feed protocol, 11 and 12), and the limits that all share."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import aiohttp

from tests.conformance.following import SLACK_S

if TYPE_CHECKING:
    from tests.conformance.conftest import Target
    from tests.conformance.driver import Driver


async def test_stream_has_the_headers_that_proxies_need(target: Target) -> None:
    """feed-54: nobody may buffer or compress it"""
    async with target.read("sse", headers=[("Accept-Encoding", "gzip")]) as reader:
        await reader.ready()
        found = {name.lower(): value for name, value in reader.headers.items()}
    assert found["content-type"] == "text/event-stream; charset=utf-8"
    assert found["cache-control"] == "no-store, no-transform"
    assert found["x-accel-buffering"] == "no"
    assert found.get("content-encoding", "identity") == "identity"
    assert found["feed-cursor"] == reader.messages[0]["cursor"]
    assert reader.retry_ms is not None
    assert 1000 <= reader.retry_ms <= 5000


async def test_last_event_id_wins_over_the_cursor(target: Target, driver: Driver) -> None:
    """feed-55"""
    sent = await driver.append(4)
    async with target.read("sse", cursor="oldest") as reader:
        await reader.until_events(4)
    place = reader.events[1]["cursor"]
    async with target.read("sse", cursor="oldest", headers=[("Last-Event-ID", place)]) as again:
        await again.until_events(2)
    assert again.ids() == sent[2:]


async def test_stream_sends_heartbeats(target: Target) -> None:
    """feed-43"""
    async with target.read("sse") as reader:
        await reader.ready()
        heartbeat = await reader.receive(within_s=reader.messages[0]["limits"]["heartbeat_s"] * 1.2 + SLACK_S)
    assert heartbeat["type"] == "heartbeat"


async def test_poll_waits_as_long_as_it_was_told(target: Target) -> None:
    """feed-53"""
    async with target.read("poll") as reader:
        before = time.monotonic()
        message, _answer = await reader.ask(cursor=reader.position, wait=1)
        took_s = time.monotonic() - before
    assert message is None or message["events"] == []
    assert 0.9 <= took_s < 15


async def test_poll_without_cursor_answers_at_once(target: Target, driver: Driver) -> None:
    """feed-53: with no events and the newest cursor"""
    await driver.append(2)
    async with target.read("poll") as reader:
        message, answer = await reader.ask(wait=5)
    assert message is not None
    assert message["events"] == []
    assert message["cursor"] == message["newest"]
    assert answer.headers["ETag"] == f'"{message["cursor"]}"'
    assert answer.headers["Cache-Control"] == "no-store"


async def test_unmoved_etag_is_answered_with_304(target: Target, driver: Driver) -> None:
    """feed-53: and with what is new where something moved"""
    await driver.append(2)
    async with target.read("poll", cursor="oldest") as reader:
        assert len(reader.events) == 2
        etag = f'"{reader.position}"'
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {target.token}", "If-None-Match": etag}
        async with session.get(f"{target.base}/poll?wait=0", headers=headers) as unmoved:
            assert (unmoved.status, unmoved.headers["ETag"]) == (304, etag)
        (sent,) = await driver.append()
        async with session.get(f"{target.base}/poll?wait=10", headers=headers) as moved:
            assert [event["id"] for event in (await moved.json())["events"]] == [sent]


async def test_poll_says_whether_there_is_more(target: Target, driver: Driver) -> None:
    """feed-53"""
    await driver.append(5)
    async with target.read("poll", cursor="oldest", limit=2) as reader:
        assert [len(reader.events), reader.messages[0]["more"]] == [2, True]
        await reader.until_events(5)
        assert reader.messages[-1]["more"] is False


async def test_one_connection_too_many_is_refused(target: Target) -> None:
    """feed-47: until one of the others is closed"""
    async with contextlib.AsyncExitStack() as stack:
        first = contextlib.AsyncExitStack()
        await first.enter_async_context(target.read("ws"))
        for _ in range(4):
            await stack.enter_async_context(target.read("ws"))
        ended = await target.refused("ws")
        assert ended.code == "too_many_connections"
        assert ended.problem["retry_after_s"] > 0
        await first.aclose()
        async with target.read("ws") as reader:
            await reader.ready()
