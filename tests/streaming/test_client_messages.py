"""What clients send: acknowledgements, and nonsense; against real servers."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from websockets.exceptions import ConnectionClosed

from tests.servers import HostServer, host_server
from tests.streaming.clients import OUR_CODE, RawFeed, feed
from tests.streaming.conftest import SETTINGS, Reader, make_reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

FLOOD = 300
"""Twenty a second are allowed: too many also for a server that takes ten seconds over them."""


async def flood(client: RawFeed) -> None:
    for _ in range(FLOOD):
        await client.say({"type": "ping", "id": ""})


async def acknowledge_again_and_again(client: RawFeed) -> None:
    for _ in range(FLOOD):
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
    "a flood of messages": flood,
    "acks of the same without end": acknowledge_again_and_again,
    "ping without id": lambda client: client.say({"type": "ping"}),
    "ping with a long id": lambda client: client.say({"type": "ping", "id": "x" * 65}),
    "ack without cursor": lambda client: client.say({"type": "ack"}),
    "ack of garbage": lambda client: client.say({"type": "ack", "cursor": "."}),
}


async def test_nonsense_ends_its_own_connection_and_no_other(server: HostServer, reader: Reader) -> None:
    """feed-45"""
    async with feed(server, reader.token) as other:
        await other.until("caught_up")
        for name, nonsense in NONSENSE.items():
            own = await database_sync_to_async(make_reader)(partner=reader.partner)
            async with feed(server, own.token) as client:
                await client.until("caught_up")
                with contextlib.suppress(ConnectionClosed):  # in the middle of the flood
                    await nonsense(client)
                error, code = await client.ending()
            # Some servers drop the connection themselves on bad UTF-8: 1006, or 1007 as RFC 6455 has it.
            assert (error["code"], code) == ("protocol_error", 4500) if error else code in {1006, 1007}, name
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


@pytest.fixture(scope="module")
def impatient(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server that soon ends those who say nothing, and soon after all others."""
    settings = SETTINGS | {"FEED_LIMITS": {"silence_timeout_s": 1}, "FEED_MAX_AGE": 10}
    with django_db_blocker.unblock(), host_server("daphne", LIVEREFERRALS=settings) as running:
        yield running


async def test_acknowledging_client_that_falls_silent_is_closed(impatient: HostServer, reader: Reader) -> None:
    """feed-40: nothing at all is heard from it"""
    async with feed(impatient, reader.token, ack=1) as client:
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("slow_consumer", 4008)


async def test_old_connection_is_ended_with_goodbye(impatient: HostServer, reader: Reader) -> None:
    """feed-48, feed-41: the planned end by age; until then one that does not acknowledge need say nothing"""
    async with feed(impatient, reader.token) as client:
        goodbye, code = await client.ending()
    assert goodbye is not None
    assert (goodbye["type"], goodbye["reason"], code) == ("goodbye", "max_age", 4010)
    assert 0 <= goodbye["retry_after_s"] <= 10
