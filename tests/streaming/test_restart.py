"""The end of a server process, planned and not, and what clients see of it."""

from __future__ import annotations

import asyncio

import pytest
from channels.db import database_sync_to_async

from tests.servers import host_server
from tests.streaming.clients import feed, seq
from tests.streaming.conftest import SETTINGS, Reader

pytestmark = pytest.mark.django_db(transaction=True)


async def test_stopped_daphne_says_goodbye(reader: Reader) -> None:
    """feed-48: on a small scale"""
    with host_server("daphne", LIVEREFERRALS=SETTINGS | {"FEED_HEARTBEAT": 1}) as server:
        async with feed(server, reader.token) as client:
            # A connection younger than a second may not be cancelled: daphne looks at them once a second.
            await client.until("heartbeat")
            await client.until("heartbeat")
            _, (goodbye, code) = await asyncio.gather(asyncio.to_thread(server.stop), client.ending())
    assert goodbye is not None
    assert (goodbye["type"], goodbye["reason"], code) == ("goodbye", "restart", 4000)


async def test_killed_server_loses_nothing(reader: Reader) -> None:
    """feed-49: on a small scale; the client resumes from its cursor"""
    with host_server("uvicorn", LIVEREFERRALS=SETTINGS) as server:
        async with feed(server, reader.token, ack=1) as client:
            await client.until("caught_up")
            await database_sync_to_async(reader.append)(3)
            await client.until_events(3)
            await asyncio.to_thread(server.kill9)
            assert (await client.ending())[1] == 1006
        await database_sync_to_async(reader.append)(3)
        await asyncio.to_thread(server.start)
        async with feed(server, reader.token, cursor=client.position) as again:
            await again.until_events(3)
    assert [seq(event["cursor"]) for event in client.events + again.events] == [1, 2, 3, 4, 5, 6]
