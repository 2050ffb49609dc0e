"""The client against running servers: every transport, a server that is killed, a consumer that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async

from livereferrals.client import FeedClient, HitEvent, MemoryCursorStore, Timing
from tests.servers import host_server
from tests.streaming.conftest import SETTINGS, Reader, make_reader
from tests.waiting import eventually, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.servers import HostServer

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
FEED = "/referrals/feed/v1"
QUICK = Timing(base_s=0.1, cap_s=0.5)


@pytest.fixture
def reader(transactional_db: None) -> Reader:
    return make_reader()


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    with django_db_blocker.unblock(), host_server("daphne", LIVEREFERRALS=SETTINGS) as running:
        yield running


@contextlib.asynccontextmanager
async def consuming(feed: FeedClient) -> AsyncIterator[list[str]]:
    """Give the growing list of the ids of events that a feed hands out."""
    seen: list[str] = []

    async def consume() -> None:
        async with feed:
            async for event in feed:
                assert isinstance(event, HitEvent)
                seen.append(event.id)

    task = asyncio.ensure_future(consume())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled(), task.exception()


@pytest.mark.parametrize("transport", ["ws", "sse", "poll"])
async def test_history_and_live_events_come_once_in_order(server: HostServer, reader: Reader, transport: Any) -> None:
    """feed-59, feed-18, feed-22: and a second client goes on where the first has ended, by any transport"""
    append = database_sync_to_async(reader.append)
    rows = await append(30)
    store = MemoryCursorStore()
    feed = FeedClient(server.url(FEED), reader.token, store=store, start="oldest", transport=transport, timing=QUICK)
    async with consuming(feed) as seen:
        await eventually(lambda: feed.state == "live")
        rows += await append(20)
        await eventually(lambda: len(seen) >= 50 and feed.lag.events == 0)
    rows += await append(5)
    async with consuming(FeedClient(server.url(FEED), reader.token, store=store, timing=QUICK)) as later:
        await eventually(lambda: len(later) >= 5)
    assert seen + later == [str(row.id) for row in rows]


@pytest.mark.once
async def test_server_that_is_killed_is_come_back_to(reader: Reader) -> None:
    """feed-49, feed-50"""
    append = database_sync_to_async(reader.append)
    with host_server("uvicorn", LIVEREFERRALS=SETTINGS) as server:
        feed = FeedClient(server.url(FEED), reader.token, start="oldest", timing=QUICK)
        async with consuming(feed) as seen:
            rows = await append(5)
            await eventually(lambda: len(seen) == 5)
            await asyncio.to_thread(server.kill9)
            await eventually(lambda: feed.state == "waiting")
            rows += await append(5)
            await asyncio.to_thread(server.start)
            await eventually(lambda: len(seen) >= 10)
    assert seen == [str(row.id) for row in rows]


@pytest.mark.once
def test_consumer_that_is_killed_misses_nothing(server: HostServer, reader: Reader, tmp_path: Path) -> None:
    """feed-49: SIGKILL of the command, again and again; each line at least once, in order"""
    rows = reader.append(60)
    lines = tmp_path / "lines"
    runs = 0
    lines.touch()
    while len(ids(lines)) < len(rows):
        enough = len(read(lines)) + 17
        process = consumer(server, reader, lines, tmp_path)
        runs += 1
        # Between two lines, wherever that is: a new place each time.
        wait_until(functools.partial(has_come, lines, enough, len(rows)))
        process.kill()
        process.wait()
    assert runs > 1
    assert ids(lines) == [str(row.id) for row in rows]
    # What came twice is what lay between a line and its cursor: less than one for each kill.
    assert len(read(lines)) - len(rows) <= runs


def consumer(server: HostServer, reader: Reader, lines: Path, directory: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "livereferrals.client", server.url(FEED), "--start", "oldest"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "LIVEREFERRALS_FEED_TOKEN": reader.token}
    with lines.open("ab") as out:
        return subprocess.Popen(command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=out)  # noqa: S603 - our own


def has_come(lines: Path, enough: int, every: int) -> bool:
    return len(read(lines)) >= enough or len(ids(lines)) == every


def read(lines: Path) -> list[str]:
    return [line for line in lines.read_text().splitlines(keepends=True) if line.endswith("\n")]


def ids(lines: Path) -> list[str]:
    """Return the events' ids in order of their first line."""
    return list(dict.fromkeys(json.loads(line)["id"] for line in read(lines)))
