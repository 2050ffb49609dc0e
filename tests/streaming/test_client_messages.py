"""What clients send: acknowledgements, and nonsense; against real servers."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from websockets.exceptions import ConnectionClosed

from tests.servers import HostServer, host_server
from tests.streaming.clients import OUR_CODE, RawFeed, feed, seq
from tests.streaming.conftest import FAST_POLL_S, Reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.django_db(transaction=True)


async def flood(client: RawFeed) -> None:
    for _ in range(100):
        await client.say({"type": "ping", "id": ""})


async def acknowledge_again_and_again(client: RawFeed) -> None:
    for _ in range(100):
        await client.say({"type": "ack", "cursor": client.position})


NONSENSE: dict[str, Callable[[RawFeed], Awaitable[None]]] = {
    "not JSON": lambda client: client.socket.send("hello"),
    "array": lambda client: client.socket.send("[]"),
    "no type": lambda client: client.socket.send("{}"),
    "type is no text": lambda client: client.socket.send('{"type": 1}'),
    "nested too deep": lambda client: client.socket.send("[" * 4000),
    "endless number": lambda client: client.socket.send('{"type": ' + "9" * 4050),
    "5 KiB": lambda client: client.say({"type": "ping", "id": "x", "padding": "x" * 5120}),
    "5 KiB of an unknown type": lambda client: client.say({"type": "other", "padding": "ü" * 2560}),
    "binary": lambda client: client.socket.send(b'{"type": "ping", "id": "1"}'),
    "bad UTF-8": lambda client: client.socket.send(b'{"type": "\xff"}', text=True),
    "100 messages a second": flood,
    "100 acks of the same": acknowledge_again_and_again,
    "ping without id": lambda client: client.say({"type": "ping"}),
    "ping with a long id": lambda client: client.say({"type": "ping", "id": "x" * 65}),
    "ack without cursor": lambda client: client.say({"type": "ack"}),
    "ack of garbage": lambda client: client.say({"type": "ack", "cursor": "."}),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_ends_its_own_connection_and_no_other(
    server: HostServer, reader: Reader, nonsense: Callable[[RawFeed], Awaitable[None]]
) -> None:
    """feed-45"""
    async with feed(server, reader.token) as other, feed(server, reader.token) as client:
        await other.until("caught_up")
        await client.until("caught_up")
        with contextlib.suppress(ConnectionClosed):  # in the middle of the flood
            await nonsense(client)
        error, code = await client.ending()
        # Some servers drop the connection themselves on bad UTF-8: 1006, or 1007 as RFC 6455 has it.
        assert (error["code"], code) == ("protocol_error", 4500) if error else code in {1006, 1007}
        await database_sync_to_async(reader.append)()
        await other.until_events(1)
    assert OUR_CODE not in server.output()


async def test_client_may_acknowledge_every_event_however_fast(server: HostServer, reader: Reader) -> None:
    """feed-39, feed-45: one that catches up sends more than a client may say of its own accord"""
    await database_sync_to_async(reader.append)(150)
    async with feed(server, reader.token, cursor="oldest", ack=1, batch=2) as client:
        client.acks = False
        while len(client.events) < 150:
            message = await client.receive()
            for event in message.get("events", ()):
                await client.say({"type": "ack", "cursor": event["cursor"]})
            await client.say({"type": "ack", "cursor": client.position})
        await client.say({"type": "ping", "id": "still here"})
        await client.until("pong")


async def test_message_of_an_unknown_type_is_ignored(server: HostServer, reader: Reader) -> None:
    """feed-46"""
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await client.say({"type": "subscribe", "to": "everything"})
        await client.say({"type": "ping", "id": "1"})
        assert (await client.receive())["type"] == "pong"


async def test_text_that_is_no_text_comes_back_as_it_was(server: HostServer, reader: Reader) -> None:
    """feed-44: a lone surrogate in an id must not break the frame that answers it"""
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await client.socket.send(json.dumps({"type": "ping", "id": "\ud800"}))
        assert (await client.receive())["id"] == "\ud800"


async def test_ack_ahead_is_an_error_and_ack_behind_is_ignored(server: HostServer, reader: Reader) -> None:
    """feed-42"""
    await database_sync_to_async(reader.append)(3)
    async with feed(server, reader.token, cursor="oldest", ack=1) as client:
        await client.until("caught_up")
        epoch = client.messages[0]["epoch"]
        await client.say({"type": "ack", "cursor": f"{epoch}.1"})
        await client.say({"type": "ping", "id": "still here"})
        assert (await client.receive())["id"] == "still here"
        await client.say({"type": "ack", "cursor": f"{epoch}.4"})
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("protocol_error", 4500)


async def test_client_that_stops_acknowledging_gets_a_window_and_then_the_rest(reader: Reader) -> None:
    """feed-39"""
    limits = {"window_events": 20, "batch_events": 500}
    settings = {"FEED_LIMITS": limits, "FEED_POLL_INTERVAL": FAST_POLL_S, "FEED_HEARTBEAT": 1}
    with host_server("uvicorn", LIVEREFERRALS=settings) as server:
        async with feed(server, reader.token, ack=1) as client:
            await client.until("caught_up")
            client.acks = False
            await database_sync_to_async(reader.append)(100)
            # The heartbeat comes when nothing else does: the window is full, and the cursor says how far it got.
            heartbeat = await client.until("heartbeat")
            assert len(client.events) == 20
            assert seq(heartbeat["cursor"]) == 20
            client.acks = True
            await client.say({"type": "ack", "cursor": client.position})
            await client.until_events(100)
            await client.until("caught_up")
    assert [seq(event["cursor"]) for event in client.events] == list(range(1, 101))


async def test_client_that_never_acknowledges_again_is_closed(reader: Reader) -> None:
    """feed-40: with a shorter patience"""
    limits = {"window_events": 4, "ack_timeout_s": 1}
    with host_server("daphne", LIVEREFERRALS={"FEED_LIMITS": limits, "FEED_POLL_INTERVAL": FAST_POLL_S}) as server:
        async with feed(server, reader.token, ack=1) as client:
            client.acks = False
            await client.until("caught_up")
            await database_sync_to_async(reader.append)(10)
            error, code = await client.ending()
    assert error is not None
    assert (error["code"], error["retry"], code) == ("slow_consumer", True, 4008)
    assert len(client.events) == 4


async def test_acknowledging_client_that_falls_silent_is_closed(reader: Reader) -> None:
    """feed-40: nothing at all is heard from it"""
    with host_server("daphne", LIVEREFERRALS={"FEED_LIMITS": {"silence_timeout_s": 1}}) as server:
        async with feed(server, reader.token, ack=1) as client:
            error, code = await client.ending()
        async with feed(server, reader.token) as listener:
            await listener.until("caught_up")
            await listener.say({"type": "ping", "id": "1"})
            assert (await listener.receive())["type"] == "pong"
    assert error is not None
    assert (error["code"], code) == ("slow_consumer", 4008)


async def test_old_connection_is_ended_with_goodbye(reader: Reader) -> None:
    """feed-48: the planned end by age"""
    with host_server("daphne", LIVEREFERRALS={"FEED_MAX_AGE": 1}) as server:
        async with feed(server, reader.token) as client:
            goodbye, code = await client.ending()
    assert goodbye is not None
    assert (goodbye["type"], goodbye["reason"], code) == ("goodbye", "max_age", 4010)
    assert 0 <= goodbye["retry_after_s"] <= 10
