"""What readers see when the log is pruned, renumbered or emptied of a person under their feet; and of dead writers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from livereferrals.events import epochs, erasure, log, retention, sequencer
from livereferrals.events.models import Event, EventLog
from tests.factories import make_entry, make_visitor
from tests.servers import ROOT, HostServer, server_environment
from tests.streaming.clients import feed, seq

if TYPE_CHECKING:
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)


def prune_all() -> None:
    list(retention.prune(before=timezone.now() + timedelta(days=1), upto=10**9))


async def test_laggard_that_a_prune_passes_by_is_told(daphne: HostServer, reader: Reader) -> None:
    """feed-34: in mid-stream, with what it had acknowledged, and never a jump"""
    await database_sync_to_async(reader.append)(3000)
    async with feed(daphne, reader.token, cursor="oldest", ack=1, batch=100) as client:
        client.acks = False
        await client.until_events(2000)  # a window full: it is behind from here on
        await database_sync_to_async(prune_all)()
        await client.say({"type": "ack", "cursor": client.position})
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("cursor_too_old", 4510)
    assert [seq(event["cursor"]) for event in client.events] == list(range(1, len(client.events) + 1))
    assert seq(error["oldest"]) == 3000
    async with feed(daphne, reader.token, cursor=error["oldest"]) as again:
        await again.until("caught_up")
        await database_sync_to_async(reader.append)(1)
        await again.until_events(1)
    assert seq(again.events[0]["cursor"]) == 3001


async def test_reader_who_is_up_to_date_does_not_notice_a_prune(uvicorn: HostServer, reader: Reader) -> None:
    """feed-34 feed-29"""
    async with feed(uvicorn, reader.token) as client:
        await client.until("caught_up")
        for count in (3, 6):
            await database_sync_to_async(reader.append)(3)
            await client.until_events(count)
            await database_sync_to_async(prune_all)()
    assert [seq(event["cursor"]) for event in client.events] == [1, 2, 3, 4, 5, 6]


async def test_new_epoch_reaches_open_connections_and_those_who_come_back(daphne: HostServer, reader: Reader) -> None:
    """feed-31: 4001 for those who are connected, `other_epoch` for their cursors, and no frame of before for anybody"""
    await database_sync_to_async(reader.append)(3)
    async with feed(daphne, reader.token, cursor="oldest") as client, feed(daphne, reader.token) as other:
        await client.until_events(3)
        await database_sync_to_async(reader.append)(1)
        await client.until_events(4)
        before = await database_sync_to_async(epochs.begin_new_epoch)()
        error, code = await client.ending()
        assert error is not None
        assert (error["code"], code) == ("resync", 4001)
        # The other one is still being closed: its stream is of the old epoch.
        async with feed(daphne, reader.token, cursor=f"{before.epoch}.1") as again:
            await again.until_events(3)
        assert (await other.ending())[1] == 4001
    assert {event["cursor"].partition(".")[0] for event in again.events} == {before.epoch}
    async with feed(daphne, reader.token, cursor=client.position) as late:
        error, code = await late.ending()
    assert error is not None
    assert (error["code"], code, error["oldest"]) == ("other_epoch", 4511, f"{before.epoch}.0")


async def test_erasure_reaches_what_the_hub_still_holds(uvicorn: HostServer, reader: Reader) -> None:
    """feed-57: old events come with null ids, cursors unchanged, also to one who is only a moment behind"""

    def write() -> Any:
        visitor = make_visitor()
        for _ in range(3):
            reader.append(1, visitor=visitor.pk, user="7", data={"visitor": str(visitor.pk), "user": "u_7", "hits": 1})
        return visitor.pk

    async with feed(uvicorn, reader.token) as live:
        await live.until("caught_up")
        visitor = await database_sync_to_async(write)()
        await live.until_events(3)
        assert {event["data"]["visitor"] for event in live.events} == {str(visitor)}
        start = live.messages[0]["cursor"]
        await database_sync_to_async(erasure.erase)(user="7", visitors=[visitor])
        await database_sync_to_async(reader.append)(1)
        await live.until_events(4)  # its hub has looked, and knows
        async with feed(uvicorn, reader.token, cursor=start) as again:
            await again.until_events(4)
    assert [event["cursor"] for event in again.events] == [event["cursor"] for event in live.events]
    assert [event["id"] for event in again.events] == [event["id"] for event in live.events]
    for event in again.events[:3]:
        assert event["data"] == {"visitor": None, "user": None, "hits": 1}


DIES = """
import os, signal, sys, django
django.setup()
from django.db import transaction
from livereferrals.events import log
from tests.factories import make_entry
with transaction.atomic():
    # Registered first, so that it runs before the hook that has events numbered.
    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    log.append(make_entry(partner=sys.argv[1]))
"""


async def test_event_of_a_writer_killed_before_the_numbering_comes_once(uvicorn: HostServer, reader: Reader) -> None:
    """feed-61: by the hub's own look, in order"""
    environment = await asyncio.to_thread(server_environment)
    async with feed(uvicorn, reader.token) as client:
        await client.until("caught_up")
        command = [sys.executable, "-c", DIES, reader.partner.uid]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=os.environ | environment, check=False, timeout=240
        )
        assert done.returncode == -9
        await client.until_events(1)
        await database_sync_to_async(reader.append)(1)
        await client.until_events(2)
    assert [seq(event["cursor"]) for event in client.events] == [1, 2]


async def test_clock_set_back_leaves_the_order_and_the_numbering_times_as_they_are(
    daphne: HostServer, reader: Reader
) -> None:
    """feed-52: by cursor; `time` may go back, `since` may not"""

    def write() -> Any:
        ahead = timezone.now() + timedelta(hours=1)
        reader.append(2, occurred_at=ahead)
        # The clock was an hour ahead when these were numbered, and is set right now.
        Event.objects.update(numbered_at=ahead)
        EventLog.objects.update(last_numbered_at=ahead)
        log.append_all([make_entry(partner=reader.partner.uid, occurred_at=timezone.now()) for _ in range(2)])
        sequencer.number_events()
        return ahead

    ahead = await database_sync_to_async(write)()
    async with feed(daphne, reader.token, cursor="oldest") as client:
        await client.until_events(4)
    assert [seq(event["cursor"]) for event in client.events] == [1, 2, 3, 4]
    times = [event["time"] for event in client.events]
    assert times != sorted(times)
    numbered = await database_sync_to_async(lambda: [event.numbered_at for event in log.read(0, limit=9)])()
    assert numbered == [ahead] * 4
    async with feed(daphne, reader.token, since=ahead.isoformat().replace("+00:00", "Z")) as since:
        await since.until_events(4)
