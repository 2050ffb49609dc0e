"""Readers that read nothing, or a byte a second, or never acknowledge: what they cost the server and the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction

from livereferrals.events import log
from tests.factories import make_entry
from tests.servers import HOST, HostServer, host_server
from tests.streaming.clients import OUR_CODE, PATH, feed, seq
from tests.streaming.conftest import SETTINGS, Reader
from tests.streaming.crowds import CROWD_LIMITS
from tests.streaming.test_fuzz import handshake, watchers
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)

SOAK = "LIVEREFERRALS_SOAK" in os.environ
"""At the scale of the protocol's own list; else as small as still proves the case."""
LIMITS = CROWD_LIMITS | {"ack_timeout_s": 60 if SOAK else 5, "rate_bytes_s": 65_536 if SOAK else 16_384}
LIMITS |= {"silence_timeout_s": 90 if SOAK else 6}
MIB = 2**20
DEAF_ONES = ["cursor=oldest"] * 5 + ["cursor=oldest&ack=1"] * 3
"""For some of them the pace bounds what daphne has to hold, for the others the window; uvicorn takes no more than goes out."""
PADDING = "x" * 4000
"""Makes an event of about 4 KiB."""


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def slowed(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server with a shorter patience for acknowledgements."""
    with (
        django_db_blocker.unblock(),
        host_server(request.param, LIVEREFERRALS=SETTINGS | {"FEED_LIMITS": LIMITS}) as running,
    ):
        yield running


def memory(server: HostServer) -> int:
    """Return the bytes of memory, other than files, that the server's process has."""
    assert server.process is not None
    rollup = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text()
    # Not what is private: a server of the tests is forked, and has shared pages for its own when it first writes to them.
    return 1024 * sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))


@contextlib.asynccontextmanager
async def deaf(server: HostServer, token: str, query: str) -> Any:
    """A client that is greeted and reads no more: its receive buffer is as small as the system allows."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(raw, (HOST, server.port))
        await loop.sock_sendall(raw, handshake(token, path=f"{PATH}?{query}"))
        said = b""
        while b'"hello"' not in said:
            said += await loop.sock_recv(raw, 512)
        yield raw
    finally:
        raw.close()


@pytest.mark.once
async def test_readers_that_do_not_read_cost_others_nothing(slowed: HostServer, reader: Reader) -> None:
    """feed-41: deaf ones and one of a byte a second; each costs a part of what there is for it, and the quick one waits for none"""
    heavy = 200 if SOAK else 80  # times ten events of 4 KiB
    write = database_sync_to_async(reader.append)
    async with contextlib.AsyncExitStack() as stack:
        quick = await stack.enter_async_context(feed(slowed, reader.token, ack=1))
        await quick.until("caught_up")
        # It reads all the time: one that is silent for as long as a busy machine writes all this would be ended.
        reading = asyncio.create_task(quick.until_events(600 + 10 * heavy))
        await write(500, data={"landing": PADDING})
        await eventually(lambda: reading.done() or len(quick.events) >= 500)
        deaf_ones = [await stack.enter_async_context(deaf(slowed, reader.token, query)) for query in DEAF_ONES]
        trickle = asyncio.create_task(byte_a_second(deaf_ones[0]))
        await write(100, data={"landing": PADDING})
        await eventually(lambda: reading.done() or len(quick.events) >= 600)
        before = memory(slowed)  # what the server needs in any case is no reader's cost
        for _ in range(heavy):
            await write(10, data={"landing": PADDING})
        await reading
        grown = memory(slowed) - before
        trickle.cancel()
    assert grown < 6 * (4 if SOAK else 1) * MIB
    assert [seq(event["cursor"]) for event in quick.events] == list(range(1, 601 + 10 * heavy))
    assert OUR_CODE not in slowed.output()


async def byte_a_second(raw: socket.socket) -> None:
    while True:
        await asyncio.get_running_loop().sock_recv(raw, 1)
        await asyncio.sleep(1)


@pytest.mark.once
async def test_reader_that_never_acknowledges_is_ended(slowed: HostServer, reader: Reader) -> None:
    """feed-40, feed-39: a window and no more, the memory stays flat, then 4008; from its cursor the rest comes"""
    await database_sync_to_async(reader.append)(3000, data={"landing": PADDING[:300]})
    async with feed(slowed, reader.token, ack=0, query="ack=1&cursor=oldest") as client:
        await client.until("hello")
        before, grown = memory(slowed), [0]
        ending = asyncio.create_task(client.ending())
        for _ in range(20):
            await database_sync_to_async(reader.append)(100, data={"landing": PADDING})
            grown.append(memory(slowed) - before)
            if ending.done():
                break
        error, code = await ending
    assert error is not None
    assert (error["code"], code) == ("slow_consumer", 4008)
    assert 1000 <= len(client.events) <= 2000
    assert max(grown) < 24 * MIB
    last = (await database_sync_to_async(log.bounds)()).head
    async with feed(slowed, reader.token, ack=1, cursor=client.position) as again:
        await again.until("caught_up")
    assert [seq(event["cursor"]) for event in client.events + again.events] == list(range(1, last + 1))


@pytest.mark.once
async def test_long_history_while_events_arrive(slowed: HostServer, reader: Reader) -> None:
    """feed-38: order is kept, `caught_up` comes once, then live"""
    past, live = (50_000, 1000) if SOAK else (4000, 40)
    await database_sync_to_async(append_in_batches)(reader, past)
    async with feed(slowed, reader.token, ack=1, cursor="oldest") as client:
        writing = asyncio.create_task(trickle_in(reader, live))
        await client.until_events(past + live)
        await writing
        await client.socket.send('{"type":"ping","id":"end"}')
        await client.until("pong")
    assert [seq(event["cursor"]) for event in client.events] == list(range(1, past + live + 1))
    kinds = [said["type"] for said in client.messages]
    assert kinds.count("caught_up") == 1


def append_in_batches(reader: Reader, count: int) -> None:
    for _ in range(count // 1000):
        reader.append(1000)


async def trickle_in(reader: Reader, count: int) -> None:
    for _ in range(count):
        await database_sync_to_async(reader.append)()
        await asyncio.sleep(0.01)


@pytest.mark.once
async def test_half_open_connection_is_found(slowed: HostServer, reader: Reader) -> None:
    """feed-40: a client that is gone without a word leaves nothing behind once it has been silent for too long"""
    async with deaf(slowed, reader.token, "ack=1"):
        await eventually(lambda: watchers(1))
        await eventually(lambda: watchers(0))
    assert OUR_CODE not in slowed.output()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
async def test_open_transaction_delays_nobody(slowed: HostServer, reader: Reader) -> None:
    """feed-62: others' events pass it at once, and its own come at once after its commit, after them"""
    wrote, commit = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold_open() -> None:
        with transaction.atomic():
            log.append_all([make_entry(partner=reader.partner.uid, data={"landing": "/held"})])
            loop.call_soon_threadsafe(wrote.set)
            asyncio.run_coroutine_threadsafe(commit.wait(), loop).result(timeout=60)

    async with feed(slowed, reader.token) as client:
        await client.until("caught_up")
        # In a thread of its own: `thread_sensitive` work of the test would wait behind it.
        held = asyncio.create_task(database_sync_to_async(hold_open, thread_sensitive=False)())
        await wrote.wait()
        for count in range(1, 11):
            await database_sync_to_async(reader.append)()
            await client.until_events(count)
        if SOAK:
            await asyncio.sleep(30)
        assert all(event["data"].get("landing") != "/held" for event in client.events)
        commit.set()
        await client.until_events(11)
        await held
    assert [event["data"].get("landing") == "/held" for event in client.events] == [False] * 10 + [True]
    assert [seq(event["cursor"]) for event in client.events] == list(range(1, 12))
