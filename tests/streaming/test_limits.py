"""How many connections and requests there may be, against real servers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from channels.db import database_sync_to_async

from livereferrals.events.models import ProcessStatus
from livereferrals.ids import random_identifier
from tests.servers import HostServer, host_server
from tests.streaming.clients import RawFeed, feed
from tests.streaming.conftest import FAST_POLL_S, Reader, make_reader
from tests.streaming.twins import ask, bearer, event_source
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)

LIMITS = {"connections_token": 3, "connections_partner": 5, "connects_burst": 1000, "polls_s": 1000}
SETTINGS = {"FEED_POLL_INTERVAL": FAST_POLL_S, "CALLBACKS": {"WORKER": "off"}, "FEED_LIMITS": LIMITS}
WITHIN_S = 10 + 50
"""What processes know of each other is at most 10 s old; as long again for a busy machine."""


@pytest.fixture(scope="module")
def strict(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server with few places."""
    with django_db_blocker.unblock(), host_server("uvicorn", LIVEREFERRALS=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def strict_too(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A second process of the same host."""
    with django_db_blocker.unblock(), host_server("daphne", LIVEREFERRALS=SETTINGS) as running:
        yield running


async def enter(stack: contextlib.AsyncExitStack, server: HostServer, reader: Reader) -> RawFeed:
    client = await stack.enter_async_context(feed(server, reader.token))
    assert (await client.receive())["type"] == "hello"
    return client


async def is_refused(server: HostServer, reader: Reader) -> bool:
    """Whether the server has no more places for a token; what it says then is checked."""
    async with feed(server, reader.token) as client:
        first = await client.receive()
        if first["type"] == "hello":
            return False
        error, code = first, (await client.ending())[1]
    assert (error["code"], error["retry"], code) == ("too_many_connections", True, 4029)
    assert error["retry_after_s"] > 0
    return True


async def test_one_connection_too_many_is_refused_until_one_is_closed(strict: HostServer, reader: Reader) -> None:
    """feed-47: sockets and streams together; the new one is refused, the others stay"""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await enter(stack, strict, reader) for _ in range(2)]
        stream = await stack.enter_async_context(event_source(strict, reader.token))
        await stream.until("caught_up")
        assert await is_refused(strict, reader)
        answer = await ask(strict, "sse", reader.token)
        assert answer.told == (429, "too_many_connections")
        assert int(answer.headers["Retry-After"]) >= answer.json["retry_after_s"] > 0
        await clients[0].socket.close()
        await eventually(lambda: can_enter(strict, reader))
        await database_sync_to_async(reader.append)()
        await stream.until_events(1)


async def can_enter(server: HostServer, reader: Reader) -> bool:
    return not await is_refused(server, reader)


async def test_closed_stream_and_closed_poll_free_their_places(strict: HostServer, reader: Reader) -> None:
    """feed-53, feed-47: a waiting poll holds a place, and clients that go away free theirs at once"""
    for _ in range(2):
        await fill_and_leave(strict, reader)
        await eventually(lambda: can_enter(strict, reader))


async def fill_and_leave(strict: HostServer, reader: Reader) -> None:
    """Take all places by a stream and two polls, see that there are no more, and go."""
    cursor = (await ask(strict, "poll", reader.token)).json["cursor"]
    url = strict.url("/referrals/feed/v1/poll")
    polls: list[asyncio.Future[aiohttp.ClientResponse]] = []
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=bearer(reader.token)))
        stream = await stack.enter_async_context(event_source(strict, reader.token))
        await stream.until("caught_up")

        async def is_full() -> bool:
            # One that was answered came while the place of an earlier look was not yet free.
            polls[:] = [poll for poll in polls if not poll.done()]
            while len(polls) < 2:
                polls.append(asyncio.ensure_future(session.get(url, params={"cursor": cursor})))
                stack.callback(polls[-1].cancel)
            return await is_refused(strict, reader)

        await eventually(is_full)
        assert (await ask(strict, "poll", reader.token, cursor=cursor)).told == (429, "too_many_connections")
        assert (await ask(strict, "poll", reader.token, cursor=cursor, wait=0)).status == 200


@pytest.mark.once
async def test_partner_has_a_limit_over_all_its_tokens(strict: HostServer, reader: Reader) -> None:
    """feed-47"""
    more = [await database_sync_to_async(make_reader)(partner=reader.partner) for _ in range(2)]
    stranger = await database_sync_to_async(make_reader)()
    async with contextlib.AsyncExitStack() as stack:
        for one in [reader, *more, reader, more[0]]:
            await enter(stack, strict, one)
        assert await is_refused(strict, more[1])
        await enter(stack, strict, stranger)


@pytest.mark.once
async def test_processes_count_together(strict: HostServer, strict_too: HostServer, reader: Reader) -> None:
    """feed-47: within 10 s; and a process that ends without a word frees its places"""
    with host_server("daphne", LIVEREFERRALS=SETTINGS) as doomed:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                await enter(stack, doomed, reader)
            await eventually(lambda: is_refused(strict_too, reader), timeout_s=WITHIN_S)
            row = await ProcessStatus.objects.aget(connections={reader.row.pk: 3})
            assert (row.kind, row.watchers) == ("server", 3)
            assert row.hub_seq is not None
            doomed.kill9()
        await eventually(lambda: can_enter(strict_too, reader), timeout_s=WITHIN_S)
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(3):
            await enter(stack, strict_too, reader)
        await eventually(lambda: is_refused(strict, reader), timeout_s=WITHIN_S)
    await eventually(lambda: can_enter(strict, reader), timeout_s=WITHIN_S)


@pytest.fixture(scope="module")
def slow(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server that lets its clients do next to nothing."""
    few = {"connects_minute": 1, "connects_burst": 2, "polls_s": 1, "tickets_minute": 2, "failures_minute": 3}
    with (
        django_db_blocker.unblock(),
        host_server("uvicorn", LIVEREFERRALS=SETTINGS | {"FEED_LIMITS": few}) as running,
    ):
        yield running


@pytest.mark.once
async def test_new_connections_have_a_rate(slow: HostServer, reader: Reader) -> None:
    """feed-47: one for each token; it says when to come back"""
    for _ in range(2):
        async with event_source(slow, reader.token) as client:
            await client.until("hello")
    answer = await ask(slow, "sse", reader.token)
    assert answer.told == (429, "rate_limited")
    assert 30 < int(answer.headers["Retry-After"]) <= 60
    async with feed(slow, reader.token) as socket:
        error, code = await socket.ending()
        assert error is not None
        assert (error["code"], error["retry"], code) == ("rate_limited", True, 4029)
    other = await database_sync_to_async(make_reader)()
    async with event_source(slow, other.token) as client:
        await client.until("hello")


@pytest.mark.once
async def test_polls_and_tickets_have_rates(slow: HostServer, reader: Reader) -> None:
    """feed-53, feed-11: requests that are refused as bad do not count"""
    for _ in range(5):
        assert (await ask(slow, "poll", reader.token, cursor="bad")).status == 400
    answers = [await ask(slow, "poll", reader.token) for _ in range(20)]
    assert [answer.status for answer in answers[:5]] == [200] * 5
    limited = next(answer for answer in answers if answer.status == 429)
    assert (*limited.told, limited.headers["Retry-After"]) == (429, "rate_limited", "1")
    given = [await ask(slow, "ticket", reader.token, method="POST") for _ in range(3)]
    assert [answer.status for answer in given] == [201, 201, 429]


@pytest.mark.once
async def test_wrong_credentials_from_one_address_are_limited(slow: HostServer, reader: Reader) -> None:
    """feed-6: and hold nobody up who has a good one"""
    wrong = [f"lrf_{random_identifier(12)}_{random_identifier(40)}" for _ in range(4)]
    answers = [await ask(slow, "poll", token, wait=0) for token in wrong]
    assert [answer.told for answer in answers] == [(401, "unauthorized")] * 3 + [(429, "rate_limited")]
    async with feed(slow, wrong[0]) as socket:
        assert (await socket.ending())[1] == 4029
    assert (await ask(slow, "ticket", reader.token, method="POST")).status == 201
