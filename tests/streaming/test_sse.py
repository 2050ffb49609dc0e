"""Server-Sent Events, against real servers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async

from livereferrals.events import log
from tests.factories import make_entry, make_partner
from tests.servers import HostServer, host_server
from tests.streaming.clients import feed, seq
from tests.streaming.conftest import BEAT_WITHIN_S, FAST_POLL_S, Reader
from tests.streaming.test_live import in_threads
from tests.streaming.twins import ask, event_source

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture(scope="module")
def compressing(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A host that compresses whatever it can, and beats fast."""
    middleware = ["django.middleware.gzip.GZipMiddleware", "django.middleware.common.CommonMiddleware"]
    settings = {"FEED_HEARTBEAT": 1, "FEED_POLL_INTERVAL": FAST_POLL_S, "CALLBACKS": {"WORKER": "off"}}
    with (
        django_db_blocker.unblock(),
        host_server("uvicorn", LIVEREFERRALS=settings, MIDDLEWARE=middleware) as running,
    ):
        yield running


async def test_stream_begins_with_retry_and_hello(server: HostServer, reader: Reader) -> None:
    """feed-1, section 11: every message is one event with its cursor as id, and nothing stores or holds back the answer"""
    await database_sync_to_async(reader.append)(3)
    # `ack` is for WebSockets: a stream that waited for acknowledgements would stop at a full window.
    async with event_source(server, reader.token, cursor="oldest", ack=1) as client:
        hello = await client.until("hello")
        headers = client.response.headers
        assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert headers["Cache-Control"] == "no-store, no-transform"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Content-Encoding"] == "identity"
        assert headers["Feed-Cursor"] == hello["cursor"] == f"{hello['epoch']}.0"
        assert client.retry_ms is not None
        assert 1000 <= client.retry_ms <= 5000
        assert (hello["ack"], hello["resume"]) == (False, "ok")
        await client.until("caught_up")
        assert len(client.events) == 3


async def test_missing_token_is_a_401(server: HostServer, reader: Reader) -> None:
    """feed-5"""
    answer = await ask(server, "sse")
    assert answer.told == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_frames_are_those_of_the_socket(server: HostServer, reader: Reader) -> None:
    """feed-18: a live event arrives once, in the very frame that a WebSocket gets"""
    async with feed(server, reader.token) as socket, event_source(server, reader.token) as client:
        await asyncio.gather(socket.until("caught_up"), client.until("caught_up"))
        start = client.position
        await database_sync_to_async(reader.append)(2)
        batch, same = await asyncio.gather(client.until("events"), socket.until("events"))
    assert batch == same
    assert seq(batch["prev"]) <= seq(start) < seq(batch["cursor"])
    assert len(batch["events"]) == 2


async def test_concurrent_transactions_arrive_whole_and_in_order(server: HostServer, reader: Reader) -> None:
    """feed-19, feed-16: of one partner, and of that partner alone"""
    other = await database_sync_to_async(make_partner)()

    def write(number: int) -> None:
        uids = [reader.partner.uid, other.uid, ""] * 2
        log.append_all([make_entry(partner=uid, data={"hit": uid, "click_id": str(number)}) for uid in uids])

    async with event_source(server, reader.token) as client:
        await client.until("caught_up")
        writing = asyncio.to_thread(in_threads, write, times=60)
        _, events = await asyncio.gather(writing, client.until_events(120))
    assert {event["data"]["hit"] for event in events} == {reader.partner.uid}
    assert sorted(int(event["data"]["click_id"]) for event in events) == sorted([*range(60), *range(60)])


async def test_resume_in_the_middle_gives_exactly_the_rest(server: HostServer, reader: Reader) -> None:
    """feed-22, feed-28: also from the `oldest` that a refusal names"""
    await database_sync_to_async(reader.append)(10)
    async with event_source(server, reader.token, cursor="oldest", batch=4) as client:
        await client.until("events")
    async with event_source(server, reader.token, cursor=client.position) as second:
        await second.until("caught_up")
    assert [seq(event["cursor"]) for event in client.events + second.events] == list(range(1, 11))


async def test_last_event_id_wins_over_the_cursor(server: HostServer, reader: Reader) -> None:
    """feed-55: its URL is what a browser's `EventSource` asks again with; filters still hold, `since` does not"""
    await database_sync_to_async(reader.append)(5)
    async with event_source(server, reader.token, cursor="oldest") as client:
        epoch = (await client.until("hello"))["epoch"]
    for query in ({"cursor": "oldest"}, {"cursor": f"{epoch}.1"}, {"since": "2020-01-01T00:00:00Z"}, {}):
        headers = {"Last-Event-ID": f"{epoch}.3"}
        async with event_source(server, reader.token, headers=headers, types="hit", **query) as client:
            assert (await client.until("hello"))["cursor"] == f"{epoch}.3"
            assert [seq(event["cursor"]) for event in await client.until_events(2)] == [4, 5]
    bad = await ask(server, "sse", reader.token, headers={"Last-Event-ID": "garbage"}, cursor="oldest")
    assert bad.told == (400, "bad_cursor")


async def test_quiet_stream_gets_heartbeats(compressing: HostServer, reader: Reader) -> None:
    """feed-43: with a cursor, at an interval of its own"""
    async with event_source(compressing, reader.token, types="claim") as client:
        await client.until("caught_up")
        await database_sync_to_async(reader.append)(7)
        while (await client.until("heartbeat", timeout_s=BEAT_WITHIN_S))[
            "cursor"
        ] != f"{client.messages[0]['epoch']}.7":
            pass
    assert client.last_id == client.position


async def test_stream_is_never_compressed(compressing: HostServer, reader: Reader) -> None:
    """feed-54: behind a middleware that compresses, events arrive as they are and at once; a poll may be compressed"""
    asking = {"Accept-Encoding": "gzip"}
    async with event_source(compressing, reader.token, headers=asking) as client:
        await client.until("caught_up")
        assert client.response.headers["Content-Encoding"] == "identity"
        for count in (1, 2, 3):
            await database_sync_to_async(reader.append)(data={"hit": "x" * 500})
            await client.until_events(count)
