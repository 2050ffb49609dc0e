"""What streams and waiting polls see of a process that ends."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async

from tests.servers import host_server
from tests.streaming.clients import OUR_CODE, seq
from tests.streaming.conftest import SETTINGS, Reader
from tests.streaming.test_fuzz import watchers
from tests.streaming.twins import ask, event_source
from tests.waiting import DEADLINE_S, eventually

if TYPE_CHECKING:
    from tests.servers import ServerKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_stopped_server_parts_from_streams_and_polls(reader: Reader, kind: ServerKind) -> None:
    """feed-48: streams are told goodbye, polls answer with what they have, and both resume without a loss"""
    with host_server(kind, LIVEREFERRALS=SETTINGS) as server:
        process = server.process
        assert process is not None
        cursor = (await ask(server, "poll", reader.token)).json["cursor"]
        async with event_source(server, reader.token) as client:
            await client.until("caught_up")
            waiting = asyncio.ensure_future(ask(server, "poll", reader.token, cursor=cursor, types="claim", wait=30))
            await database_sync_to_async(reader.append)(2)
            await client.until_events(2)
            await eventually(lambda: watchers(2))  # the poll is there, too
            process.send_signal(signal.SIGTERM)
            last = await client.ending()
            assert last is not None
            assert (last["type"], last["reason"]) == ("goodbye", "restart")
            assert 0 <= last["retry_after_s"] <= 10
        page = await waiting
        assert (page.status, page.json["events"]) == (200, [])
        await asyncio.to_thread(process.wait, DEADLINE_S)
        assert OUR_CODE not in server.output()
        await database_sync_to_async(reader.append)()
        server.start()
        async with event_source(server, reader.token, headers={"Last-Event-ID": client.last_id}) as client:
            assert [seq(event["cursor"]) for event in await client.until_events(1)] == [3]
        again = await ask(server, "poll", reader.token, cursor=page.json["cursor"], wait=0)
        assert [seq(event["cursor"]) for event in again.json["events"]] in ([1, 2, 3], [3])
