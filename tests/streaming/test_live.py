"""Events as they happen, against real servers."""

from __future__ import annotations

import asyncio
import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction

from livereferrals.events import log
from tests.factories import home_link, make_entry, make_partner
from tests.servers import HostServer, host_server
from tests.streaming.clients import feed, seq
from tests.streaming.conftest import BEAT_WITHIN_S, FAST_POLL_S, Reader, make_reader

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)

NEVER_S = 3600
"""A server that looks so seldom sees nothing in this test but what it is told of."""


async def test_live_event_arrives_once(server: HostServer, reader: Reader) -> None:
    """feed-18"""
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        start = client.position
        (event,) = await database_sync_to_async(reader.append)(data={"hit": "h1", "repeat": False})
        batch = await client.until("events")
        await database_sync_to_async(reader.append)()
        await client.until_events(2)
    assert seq(batch["prev"]) <= seq(start) < seq(batch["cursor"])
    assert [sent["id"] for sent in batch["events"]] == [str(event.pk)]
    assert batch["events"][0]["data"] == {"hit": "h1", "repeat": False}
    assert batch["events"][0]["partner"] == reader.partner.uid
    assert len({sent["id"] for sent in client.events}) == 2


def in_threads(act: Callable[[int], object], *, times: int, threads: int = 8) -> None:
    """Call `act(number)` so many times from several threads, each with its own connection."""

    def call(number: int) -> None:
        try:
            act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(call, number) for number in range(times)]:
            done.result()


async def test_concurrent_transactions_arrive_whole_and_in_order(
    daphne: HostServer, uvicorn: HostServer, reader: Reader
) -> None:
    """feed-19: 1,000 events in 200 transactions, watched in two processes"""
    async with feed(daphne, reader.token, ack=1) as first, feed(uvicorn, reader.token, ack=1) as second:
        await asyncio.gather(first.until("caught_up"), second.until("caught_up"))
        writing = asyncio.to_thread(
            in_threads, lambda number: reader.append(5, data={"click_id": str(number)}), times=200
        )
        _, one, two = await asyncio.gather(writing, first.until_events(1000), second.until_events(1000))
    assert [event["cursor"] for event in one] == [event["cursor"] for event in two]
    assert [seq(event["cursor"]) for event in one] == list(range(1, 1001))
    assert len({event["id"] for event in one}) == 1000


async def test_event_rolled_back_is_never_seen(server: HostServer, reader: Reader) -> None:
    """feed-20"""

    def write_and_undo() -> None:
        with transaction.atomic():
            reader.append(data={"hit": "undone"})
            transaction.set_rollback(True)

    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await database_sync_to_async(write_and_undo)()
        await database_sync_to_async(reader.append)(data={"hit": "kept"})
        await client.until_events(1)
    assert [event["data"]["hit"] for event in client.events] == ["kept"]


async def test_savepoint_rolled_back_is_not_seen_and_the_outer_one_is(server: HostServer, reader: Reader) -> None:
    """feed-21"""

    def write() -> None:
        with transaction.atomic():
            reader.append(data={"hit": "outer"})
            with transaction.atomic():
                reader.append(data={"hit": "inner"})
                transaction.set_rollback(True)

    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await database_sync_to_async(write)()
        await database_sync_to_async(reader.append)(data={"hit": "later"})
        await client.until_events(2)
    assert [event["data"]["hit"] for event in client.events] == ["outer", "later"]


async def test_partner_never_gets_events_of_another(server: HostServer, reader: Reader) -> None:
    """feed-16"""
    other = await database_sync_to_async(make_reader)()

    def write() -> None:
        for _ in range(10):
            log.append_all(
                make_entry(partner=uid, data={"hit": uid}) for uid in [reader.partner.uid, other.partner.uid, ""] * 20
            )

    async with feed(server, reader.token, ack=1) as one, feed(server, other.token, ack=1) as two:
        await asyncio.gather(one.until("caught_up"), two.until("caught_up"))
        await database_sync_to_async(write)()
        await asyncio.gather(one.until_events(200), two.until_events(200))
    assert {event["data"]["hit"] for event in one.events} == {reader.partner.uid}
    assert {event["data"]["hit"] for event in two.events} == {other.partner.uid}


async def test_scopes_decide_what_is_sent(server: HostServer, reader: Reader) -> None:
    """feed-17: without `amounts` amounts are null; without `hits` there are no hits"""
    narrow = await database_sync_to_async(make_reader)(partner=reader.partner, scopes=["confirmations"])

    def write() -> None:
        reader.append(type="hit")
        reader.append(type="confirmation", data={"confirmation": "c1", "amount": "12.50", "currency": "EUR"})

    async with feed(server, reader.token, cursor="oldest") as all_scopes, feed(server, narrow.token) as narrowed:
        await narrowed.until("caught_up")
        await database_sync_to_async(write)()
        await asyncio.gather(all_scopes.until_events(2), narrowed.until_events(1))
    assert all_scopes.events[1]["data"]["amount"] == "12.50"
    assert [event["type"] for event in narrowed.events] == ["confirmation"]
    assert narrowed.events[0]["data"]["amount"] is None


async def test_filters_narrow_what_is_sent(server: HostServer, reader: Reader) -> None:
    """feed-36"""
    link = await database_sync_to_async(home_link)(reader.partner)

    def write() -> None:
        reader.append(link=link.pk, link_identifier=link.identifier)
        reader.append(type="claim")
        reader.append(type="confirmation", link=link.pk, link_identifier=link.identifier)

    async with (
        feed(server, reader.token, types="claim,confirmation") as by_type,
        feed(server, reader.token, links=str(link.pk)) as by_link,
    ):
        await asyncio.gather(by_type.until("caught_up"), by_link.until("caught_up"))
        await database_sync_to_async(write)()
        await asyncio.gather(by_type.until_events(2), by_link.until_events(2))
    assert by_type.messages[0]["types"] == ["claim", "confirmation"]
    assert by_link.messages[0]["links"] == [str(link.pk)]
    assert [event["type"] for event in by_type.events] == ["claim", "confirmation"]
    assert [event["type"] for event in by_link.events] == ["hit", "confirmation"]
    assert by_link.events[0]["link"] == {"id": str(link.pk), "identifier": link.identifier}


@pytest.mark.once
async def test_quiet_connection_gets_heartbeats_that_move_its_cursor(reader: Reader) -> None:
    """feed-43, feed-35: with a filter that lets nothing through, the cursor still advances, and can be resumed from"""
    other = await database_sync_to_async(make_partner)()
    settings = {"FEED_HEARTBEAT": 1, "FEED_POLL_INTERVAL": FAST_POLL_S}
    with host_server("daphne", LIVEREFERRALS=settings) as server:
        async with feed(server, reader.token, types="delivery") as client:
            await client.until("caught_up")
            await database_sync_to_async(log.append_all)([make_entry(partner=other.uid) for _ in range(100)])
            while seq((await client.until("heartbeat", timeout_s=BEAT_WITHIN_S))["cursor"]) < 100:
                pass
            assert {said["type"] for said in client.messages[2:]} == {"heartbeat"}
        async with feed(server, reader.token, cursor=client.position) as client:
            assert (await client.receive())["resume"] == "ok"


@pytest.mark.once
async def test_ping_is_answered_with_its_id(server: HostServer, reader: Reader) -> None:
    """feed-44"""
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await client.say({"type": "ping", "id": "p-ü-1"})
        assert await client.receive() == {"type": "pong", "id": "p-ü-1", "cursor": client.position}


async def test_event_that_its_writer_left_unnumbered_still_comes(
    server: HostServer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """feed-61: the writer died between its commit and the numbering"""
    monkeypatch.setattr("livereferrals.events.publisher.publish_now", lambda: 0)
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await database_sync_to_async(reader.append)()
        await client.until_events(1)


async def test_hint_inside_the_process_needs_no_poll(reader: Reader) -> None:
    """feed-51: the other way round: with a hint nobody waits for the poll"""
    link = await database_sync_to_async(home_link)(reader.partner)
    with host_server("daphne", LIVEREFERRALS={"FEED_POLL_INTERVAL": NEVER_S}) as server:
        async with feed(server, reader.token) as client:
            await client.until("caught_up")
            await asyncio.to_thread(follow, server, link.identifier)
            (event,) = await client.until_events(1)
    assert event["type"] == "hit"
    assert event["link"]["identifier"] == link.identifier


@pytest.mark.once
async def test_hint_reaches_another_process_over_the_channel_layer(reader: Reader, valkey_url: str) -> None:
    """feed-51: and over Valkey a watcher of another process does not wait either"""
    link = await database_sync_to_async(home_link)(reader.partner)
    settings = {"FEED_POLL_INTERVAL": NEVER_S}
    with (
        host_server("daphne", redis_url=valkey_url, LIVEREFERRALS=settings) as writing,
        host_server("uvicorn", redis_url=valkey_url, LIVEREFERRALS=settings) as watched,
    ):
        async with feed(watched, reader.token) as client:
            await client.until("caught_up")
            await asyncio.to_thread(follow, writing, link.identifier)
            await client.until_events(1)


def follow(server: HostServer, identifier: str) -> None:
    """Follow a link as a browser does."""
    conversation = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    try:
        conversation.request("GET", f"/ref/{identifier}", headers={"User-Agent": agent})
        assert conversation.getresponse().status == 302
    finally:
        conversation.close()
