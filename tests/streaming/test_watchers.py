"""One watcher: its pace, its lag, its end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from livereferrals.events.models import Event, EventLog
from livereferrals.streaming import hub
from livereferrals.streaming.admission import admit
from livereferrals.streaming.credentials import Presented
from livereferrals.streaming.frames import Encoder, LogKeys, Stream
from livereferrals.streaming.sockets import Socket
from livereferrals.streaming.sse import write_to_the_end
from livereferrals.streaming.watchers import Watcher
from tests.streaming.in_process import watching
from tests.waiting import DEADLINE_S, eventually

if TYPE_CHECKING:
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)

RATE = 4800


async def test_reader_without_acks_is_paced(reader: Reader, settings: Any) -> None:
    """feed-41: four seconds' worth at once, then the rate"""
    settings.LIVEREFERRALS = {"FEED_LIMITS": {"rate_bytes_s": RATE}}
    await database_sync_to_async(reader.append)(20, data={"landing": "x" * 1000})
    before = time.monotonic()
    async with watching(reader.token, cursor="oldest", batch=1) as client:
        sizes = [len(await client.text()) for _ in range(21)]
    assert time.monotonic() - before >= (sum(sizes[1:]) - 4 * RATE) / RATE - 0.1


async def test_retention_that_passes_a_laggard_is_told(reader: Reader, settings: Any) -> None:
    """feed-34: an error with the oldest cursor, never a jump"""
    settings.LIVEREFERRALS = {"FEED_LIMITS": {"window_events": 8}, "FEED_POLL_INTERVAL": 0.05}

    def prune(upto: int) -> None:
        Event.objects.filter(seq__lte=upto).delete()
        EventLog.objects.update(oldest=upto)

    await database_sync_to_async(reader.append)(50)
    async with watching(reader.token, cursor="oldest", ack=1) as client:
        epoch = (await client.until("hello"))["epoch"]
        for _ in range(3):
            await client.until("events")
        batch = await client.until("events")
        await database_sync_to_async(prune)(20)
        client.say({"type": "ack", "cursor": batch["cursor"]})
        error = await client.until("error")
        await eventually(lambda: client.close_code)
    assert (error["code"], client.close_code) == ("cursor_too_old", 4510)
    assert (error["oldest"], error["newest"]) == (f"{epoch}.20", f"{epoch}.50")


async def test_cancelled_connection_says_goodbye(reader: Reader) -> None:
    """feed-48: daphne cancels its connections when the process is to end"""
    async with watching(reader.token) as client:
        await client.until("caught_up")
        client.task.cancel()
        goodbye = await client.until("goodbye")
        await asyncio.wait([client.task])
        assert client.task.cancelled()
    assert (goodbye["reason"], client.close_code) == ("restart", 4000)
    assert 0 <= goodbye["retry_after_s"] <= 10
    assert not hub.get_hub().running


async def test_client_that_leaves_at_once_leaves_nothing_behind(reader: Reader) -> None:
    """feed-45: gone before `hello`"""
    async with watching(reader.token):
        pass
    assert not hub.get_hub().running
    assert not hub.get_hub().watchers()


async def test_cursor_beside_events_that_are_not_shown_leaves_no_hole(reader: Reader) -> None:
    """feed-35: history that the filter hides is passed by a heartbeat, before the next batch builds on it"""

    def write() -> None:
        reader.append(1000, type="hit")
        reader.append(type="claim")
        reader.append(10, type="hit")

    await database_sync_to_async(write)()
    async with watching(reader.token, cursor="oldest", types="claim") as client:
        position = int((await client.until("hello"))["cursor"].partition(".")[2])
        found: list[str] = []
        await database_sync_to_async(reader.append)(type="claim")
        while len(found) < 2:
            message: dict[str, Any] = await next_of(client, "events", "heartbeat")
            assert int(message["prev"].partition(".")[2]) <= position
            position = int(message["cursor"].partition(".")[2])
            found += [event["type"] for event in message.get("events", ())]
    assert found == ["claim", "claim"]


async def test_live_batch_right_after_hidden_history_leaves_no_hole(reader: Reader) -> None:
    """feed-35: the shared frame says `prev` for those who were live; this reader has been told of less"""
    await database_sync_to_async(reader.append)(3, type="hit")
    admission = await database_sync_to_async(admit)(Presented(token=reader.token), "cursor=oldest&types=claim")
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    stream = Stream(admission.selection, position=3)
    claim = Event(seq=4, type="claim", occurred_at=timezone.now(), partner=reader.partner.uid)
    stream.take([claim], Encoder(LogKeys(epoch=admission.bounds.epoch, house_key="00")), upto=4)
    own = hub.Hub()
    own.position = 3
    watcher = Watcher(hub=own, outlet=Socket(sent.put), admission=admission)
    writing = asyncio.create_task(write_to_the_end(watcher, stream))
    async with asyncio.timeout(DEADLINE_S):
        heartbeat, batch = [json.loads((await sent.get())["text"]) for _ in range(2)]
    writing.cancel()
    await asyncio.wait([writing])
    assert (heartbeat["type"], batch["type"]) == ("heartbeat", "events")
    assert heartbeat["prev"] == str(admission.start.cursor)
    assert heartbeat["cursor"] == batch["prev"]


async def next_of(client: Any, *kinds: str) -> dict[str, Any]:
    while (message := json.loads(await client.text()))["type"] not in kinds:
        pass
    found: dict[str, Any] = message
    return found
