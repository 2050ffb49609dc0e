"""Whatever bytes a client sends: a defined end, no exception in the log, and nothing left behind."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import random
import struct
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async

from livereferrals.events.models import ProcessStatus
from tests.servers import HOST, HostServer, host_server
from tests.streaming.clients import OUR_CODE, PATH, feed
from tests.streaming.conftest import SETTINGS, Reader
from tests.streaming.crowds import CROWD_LIMITS
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

SEED = int(os.environ.get("FUZZ_SEED", "20261121"))
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "40"))
END_WITHIN_S = 60.0
TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
ECHOED = {1000, 3000, 4999}
"""What the client itself closes with comes back."""
DEFINED = {4500, 1002, 1003, 1005, 1006, 1007, 1009} | ECHOED
"""Ours, and what the servers' own WebSocket code says of frames that are none."""


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def fuzzed(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server that lets one token in as often as it likes."""
    settings = SETTINGS | {"FEED_LIMITS": CROWD_LIMITS}
    with django_db_blocker.unblock(), host_server(request.param, LIVEREFERRALS=settings) as running:
        yield running


def frame(opcode: int, content: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """Return one WebSocket frame, right or wrong."""
    mask = 0x80 if masked else 0
    head = bytes([(0x80 if final else 0) | reserved | opcode])
    if len(content) < 126:
        head += bytes([mask | len(content)])
    elif len(content) < 2**16:
        head += bytes([mask | 126]) + struct.pack("!H", len(content))
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", len(content))
    return head + (bytes(4) + content if masked else content)  # a mask of zeros leaves the content as it is


def message(chance: random.Random) -> bytes:
    """Return something that a client might send, or would never."""
    noise = chance.randbytes(chance.choice([0, 1, 30, 200]))
    ping = b'{"type":"ping","id":"1"}'
    return chance.choice(
        [
            noise,
            frame(TEXT, noise),
            frame(TEXT, ping),
            frame(TEXT, ping[:7], final=False) + frame(PING, b"x") + frame(CONTINUED, ping[7:]),
            frame(TEXT, b"{", final=False),
            frame(TEXT, b"[" * 70_000),
            frame(TEXT, b"x" * 2 * 2**20),
            frame(BINARY, noise),
            frame(BINARY, b"x" * 2**17),
            frame(CONTINUED, noise),
            frame(PING, b"x" * 126),
            frame(PONG, noise[:100]),
            frame(CLOSE, struct.pack("!H", chance.choice([0, 999, 1000, 1005, 1006, 3000, 4999, 65535]))),
            frame(CLOSE, b"\x03"),
            frame(CLOSE, struct.pack("!H", 1000) + b"\xff\xfe"),
            frame(chance.choice([3, 7, 11, 15]), noise[:100]),
            frame(TEXT, ping, masked=False),
            frame(TEXT, ping, reserved=0x40),
            frame(TEXT, ping)[: chance.randint(1, 20)],
            bytes([0x81, 0xFF]) + struct.pack("!Q", 2**63 - 1),
            frame(TEXT, b'{"type":"ack","cursor":"' + noise.hex().encode() + b'"}'),
            frame(TEXT, ping) * 60,
        ]
    )


def handshake(token: str, *, path: str = PATH) -> bytes:
    """Return the request for an upgrade."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: livereferrals.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


async def closing_code(reader: asyncio.StreamReader) -> int:
    """Read frames to the end and return the code of the server's close; 1006 where it just went."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            first, second = await reader.readexactly(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
            content = await reader.readexactly(size)
            if first & 15 == CLOSE:
                return int.from_bytes(content[:2]) if content else 1005
    return 1006


async def torment(server: HostServer, token: str, chance: random.Random) -> int | None:
    """Open a connection, send what must not be sent, and return how it ended; nothing where there was no upgrade."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    try:
        asked = handshake(token)
        if chance.random() < 0.2:  # half a handshake, or one with noise in it
            place = chance.randrange(len(asked))
            writer.write(asked[:place] + chance.choice([b"", chance.randbytes(40)]))
            return None
        writer.write(asked)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head
        for _ in range(chance.randint(1, 4)):
            writer.write(message(chance))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if chance.random() < 0.2:
            return None  # gone without a word
        # What is no whole frame is waited for: an end of the stream is what the server sees next.
        with contextlib.suppress(OSError):
            writer.write(frame(CLOSE, struct.pack("!H", 1000)))
            writer.write_eof()
        async with asyncio.timeout(END_WITHIN_S):
            return await closing_code(reader)
    except ConnectionError:
        return 1006
    finally:
        writer.transport.abort()


async def test_fuzzed_sockets_end_and_leave_nothing(fuzzed: HostServer, reader: Reader) -> None:
    """feed-45: garbage, huge, fragmented, control and binary frames, half handshakes"""
    chance = random.Random(SEED)  # noqa: S311 - repeatable
    async with feed(fuzzed, reader.token) as other:
        await other.until("caught_up")
        for _ in range(ROUNDS // 10):
            seeds = [chance.random() for _ in range(10)]
            codes = await asyncio.gather(
                *(torment(fuzzed, reader.token, random.Random(seed)) for seed in seeds)  # noqa: S311 - repeatable
            )
            assert set(codes) - {None} <= DEFINED, f"FUZZ_SEED={SEED}"
        await database_sync_to_async(reader.append)()
        await other.until_events(1)
        await eventually(lambda: watchers(1), what="One watcher, the undisturbed one")
    await eventually(lambda: watchers(0), what="No watcher")
    assert OUR_CODE not in fuzzed.output()
    assert reader.token not in fuzzed.output()


async def watchers(count: int) -> bool:
    """Whether the server says that it has so many; a process with none takes its row away."""
    found = await database_sync_to_async(lambda: list(ProcessStatus.objects.values_list("watchers", flat=True)))()
    return sum(found) == count
