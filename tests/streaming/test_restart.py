"""The end of a server process, planned and not, and what clients see of it."""

from __future__ import annotations

import asyncio

import pytest
from channels.db import database_sync_to_async

from tests.servers import host_server
from tests.streaming.clients import feed, seq
from tests.streaming.conftest import SETTINGS, Reader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


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
