"""Letting a reader in has one bound, and a reader that is not there any more is found without its help."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
import os
from typing import TYPE_CHECKING

import pytest

from livereferrals.exceptions import FeedError
from livereferrals.streaming import entrance
from livereferrals.streaming.credentials import Headers
from livereferrals.streaming.hub import get_hub
from livereferrals.streaming.openings import Opening
from tests.servers import HOST, HostServer, server_environment
from tests.streaming.clients import PATH, PROTOCOL, feed
from tests.streaming.crowds import CROWD_LIMITS
from tests.waiting import DEADLINE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)
PING = 0x9
ONE_PLACE = CROWD_LIMITS | {"connections_token": 1}
FREQUENTLY = {
    "daphne": ["--ping-interval", "1", "--ping-timeout", "2"],
    "uvicorn": ["--ws-ping-interval", "1", "--ws-ping-timeout", "1"],
}


def opening_of(reader: Reader) -> Opening:
    headers = Headers([(b"authorization", f"Bearer {reader.token}".encode())])
    return Opening(path=PATH, query="", headers=headers, scheme="wss", peer=HOST, offered=[PROTOCOL])


async def test_what_stands_before_hello_shares_one_bound(reader: Reader) -> None:
    """feed-18: a slow database is told of within five seconds, whichever of the questions it is slow at"""
    loop = asyncio.get_running_loop()
    began = loop.time()
    admission = await entrance.open_connection(opening_of(reader))
    assert began + entrance.LET_IN_S <= admission.until <= loop.time() + entrance.LET_IN_S
    assert (await entrance.open_poll(opening_of(reader), etag=None)).until == math.inf
    hub = get_hub()
    with pytest.raises(FeedError, match="cannot be read") as refused:
        await hub.take_on(None, head=10**9, until=loop.time())  # type: ignore[arg-type] # it does not come to the watcher
    assert refused.value.code == "unavailable"
    assert not hub.running


class PingingServer(HostServer):
    """A server that looks after its sockets every second."""

    def _command(self) -> list[str]:
        *command, application = super()._command()
        return [*command, *FREQUENTLY[self.kind], application]


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[HostServer]:
    running = PingingServer(request.param, server_environment(LIVEREFERRALS={"FEED_LIMITS": ONE_PLACE}))
    running.start()
    yield running
    running.stop()


async def test_half_open_reader_without_acks_is_found_by_pings(server: HostServer, reader: Reader) -> None:
    """feed-41: a client whose machine has gone answers no ping; its place is free again"""
    stream, writer = await asyncio.open_connection(HOST, server.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {PATH}?ack=0 HTTP/1.1\r\nHost: {HOST}:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n"
        f"Authorization: Bearer {reader.token}\r\n\r\n".encode()
    )
    seen: list[int] = []
    async with asyncio.timeout(DEADLINE_S):
        assert b" 101 " in await stream.readuntil(b"\r\n\r\n")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                seen.append(await opcode_of_next(stream))
    assert PING in seen, "the server has asked whether anybody is there, and cut the line when nobody was"
    writer.close()

    async def is_let_in() -> bool:
        async with feed(server, reader.token) as client:
            return bool((await client.receive())["type"] == "hello")

    await eventually(is_let_in, what="The place of the reader that has gone")
    assert "Traceback" not in server.output()


async def opcode_of_next(stream: asyncio.StreamReader) -> int:
    """Read one frame of a server (RFC 6455 5.2), and answer nothing."""
    first, length = await stream.readexactly(2)
    if length >= 126:
        length = int.from_bytes(await stream.readexactly(2 if length == 126 else 8))
    await stream.readexactly(length)
    return first & 0x0F
