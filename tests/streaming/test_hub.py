"""The hub: who it wakes, what it shares, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection

from livereferrals.events import log
from livereferrals.events.models import EventLog
from livereferrals.streaming import hub
from tests.factories import make_entry
from tests.streaming.in_process import Connection, watching
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from livereferrals.events.log import Bounds
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.asynccontextmanager
async def all_of(connections: list[Connection]) -> AsyncIterator[list[Connection]]:
    """Hold several connections open, each caught up."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(connection) for connection in connections]
        for one in opened:
            await one.until("caught_up")
        yield opened


def append(count: int = 1, **values: Any) -> None:
    log.append_all([make_entry(**values) for _ in range(count)])


async def test_follower_is_called_when_the_head_has_moved() -> None:
    """design 5: a hint wakes the hub, which reads"""
    seen: list[Bounds] = []
    stop = hub.follow(seen.append)
    await eventually(lambda: seen)
    await database_sync_to_async(append)(3)
    await eventually(lambda: seen[-1].head == 3)
    stop()
    await database_sync_to_async(append)()
    assert seen[-1].head == 3
    assert not hub.get_hub().running


async def test_failing_follower_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """design 6: a follower is a boundary"""
    seen: list[Bounds] = []

    def fail(bounds: Bounds) -> None:
        raise ValueError(bounds)

    stops = [hub.follow(fail), hub.follow(seen.append)]
    await eventually(lambda: seen)
    await database_sync_to_async(append)()
    await eventually(lambda: seen[-1].head == 1)
    for stop in stops:
        stop()
    assert "A follower of the hub failed." in caplog.text


async def test_hub_ends_with_its_last_watcher_and_starts_again(reader: Reader) -> None:
    """performance P13: without watchers nothing runs and nothing is listened for"""
    own = hub.get_hub()
    for _ in range(2):
        async with all_of([watching(reader.token), watching(reader.token)]) as connections:
            assert (own.running, len(own.watchers())) == (True, len(connections))
        assert (own.running, len(own.watchers())) == (False, 0)


async def test_hub_is_one_for_each_loop() -> None:
    """design 6: one hub in a process and event loop"""
    assert hub.get_hub() is hub.get_hub()
    other = await asyncio.to_thread(lambda: asyncio.run(_hub_of_this_loop()))
    assert other is not hub.get_hub()


async def _hub_of_this_loop() -> hub.Hub:
    return hub.get_hub()


async def test_watchers_of_one_selection_share_the_very_text(reader: Reader) -> None:
    """performance, fan-out: a batch is encoded once"""
    async with all_of([watching(reader.token), watching(reader.token), watching(reader.token, batch=7)]) as found:
        await database_sync_to_async(reader.append)(3)
        first, second, other = [await connection.text() for connection in found]
    assert first is second
    assert first == other
    assert first is not other


async def test_burst_is_one_frame(reader: Reader) -> None:
    """performance P10: what became visible together is encoded and sent together"""
    async with all_of([watching(reader.token), watching(reader.token, ack=1)]) as connections:
        await database_sync_to_async(reader.append)(400)
        for connection in connections:
            assert len((await connection.until("events"))["events"]) == 400


async def test_client_that_does_not_read_holds_nobody_up(reader: Reader) -> None:
    """feed-41: the slow one is served from the log when it reads again, whole and in order"""
    async with all_of([watching(reader.token, ack=1), watching(reader.token)]) as (slow, quick):
        slow.reading.clear()
        for _ in range(30):  # more frames than a stream keeps
            await database_sync_to_async(reader.append)()
            assert len((await quick.until("events"))["events"]) == 1
        assert slow.sent.empty()
        slow.reading.set()
        cursors: list[str] = []
        while len(cursors) < 30:
            cursors += [event["cursor"] for event in (await slow.until("events"))["events"]]
        assert (await slow.until("caught_up"))["cursor"] == cursors[-1]
    assert [int(cursor.partition(".")[2]) for cursor in cursors] == list(range(1, 31))


async def test_client_that_does_not_read_can_still_be_ended(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-8: its writer is stuck in a send"""
    monkeypatch.setattr("livereferrals.streaming.watchers.END_WITHIN_S", 0.1)
    monkeypatch.setattr("livereferrals.streaming.consumers.CLOSING_S", 0.1)
    async with all_of([watching(reader.token)]) as (slow,):
        slow.reading.clear()
        await database_sync_to_async(reader.append)()
        await database_sync_to_async(EventLog.objects.update)(epoch="another1")
        await eventually(slow.task.done)
        assert not hub.get_hub().watchers()


@pytest.mark.parametrize("ack", [0, 1])
async def test_heartbeat_never_passes_over_an_event(reader: Reader, settings: Any, ack: int) -> None:
    """feed-18, feed-39: neither for a full window nor for the pace, while the hub is far ahead of what was sent"""
    # One frame of ten fits into the pace at once, and two into the window.
    limits = {"window_events": 20, "batch_events": 10, "rate_bytes_s": 600}
    settings.LIVEREFERRALS = {"FEED_HEARTBEAT": 0.05, "FEED_LIMITS": limits}
    await database_sync_to_async(reader.append)(60)
    async with watching(reader.token, cursor="oldest", ack=ack, batch=10) as client:
        found: list[str] = []
        beats = 0
        while beats < 3:
            message = json.loads(await client.text())
            found += [event["cursor"] for event in message.get("events", ())]
            if message["type"] == "heartbeat":
                beats += 1
                assert message["cursor"] == message["prev"] == found[-1]
    assert 0 < len(found) < 60


async def test_away_database_ends_watchers_and_not_the_hub(reader: Reader, settings: Any) -> None:
    """feed-50: 4009 and no cursor moves; followers are told when it is back"""
    settings.LIVEREFERRALS = {"FEED_POLL_INTERVAL": 0.05}
    seen: list[Bounds] = []
    stop = hub.follow(seen.append)
    async with all_of([watching(reader.token)]) as (client,):
        await database_sync_to_async(rename)("livereferrals_eventlog", "livereferrals_away")
        try:
            error = await client.until("error")
            assert (error["code"], error["retry"]) == ("unavailable", True)
            await eventually(lambda: client.close_code == 4009)
            async with watching(reader.token) as refused:
                assert (await refused.until("error"))["code"] == "unavailable"
                await eventually(lambda: refused.close_code == 4009)
        finally:
            await database_sync_to_async(rename)("livereferrals_away", "livereferrals_eventlog")
    await database_sync_to_async(reader.append)()
    await eventually(lambda: seen[-1].head == 1)
    stop()


def rename(table: str, to: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {to}")
