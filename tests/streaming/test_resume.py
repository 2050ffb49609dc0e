"""Carrying on from a cursor: every outcome, against real servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from livereferrals.events import log
from livereferrals.events.models import Event, EventLog
from livereferrals.events.wire import rfc3339
from tests.factories import make_entry
from tests.servers import HostServer, host_server
from tests.streaming.clients import OUR_CODE, feed, seq
from tests.streaming.conftest import Reader, make_reader

pytestmark = pytest.mark.django_db(transaction=True)


def prune(upto: int) -> None:
    """Remove the events up to a number, as retention does."""
    Event.objects.filter(seq__lte=upto).delete()
    EventLog.objects.update(oldest=upto)


@pytest.fixture
def cursors(reader: Reader) -> list[str]:
    """Cursors 0 to 10 of a log with ten events of the reader's."""
    reader.append(10)
    epoch = log.load_log().epoch
    return [f"{epoch}.{number}" for number in range(11)]


async def received(server: HostServer, reader: Reader, **parameters: Any) -> list[int]:
    """Return the numbers of the events that a connection gets before it is caught up."""
    async with feed(server, reader.token, **parameters) as client:
        await client.until("caught_up")
        return [seq(event["cursor"]) for event in client.events]


async def refused(server: HostServer, reader: Reader, **parameters: Any) -> tuple[dict[str, object], int]:
    async with feed(server, reader.token, **parameters) as client:
        error, code = await client.ending()
        assert error is not None
        assert error["close"] == code
        return error, code


@pytest.mark.once
async def test_resume_in_the_middle_gives_exactly_the_rest(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-22"""
    async with feed(server, reader.token, cursor=cursors[4]) as client:
        hello = await client.receive()
        assert (hello["resume"], hello["cursor"], hello["newest"]) == ("ok", cursors[4], cursors[10])
        await client.until("caught_up")
        assert [seq(event["cursor"]) for event in client.events] == [5, 6, 7, 8, 9, 10]
        await database_sync_to_async(reader.append)()
        await client.until_events(7)
    assert client.position.endswith(".11")


@pytest.mark.once
async def test_resume_at_the_newest_gives_nothing_twice(server: HostServer, reader: Reader, cursors: list[str]) -> None:
    """feed-23"""
    async with feed(server, reader.token, cursor=cursors[10]) as client:
        assert (await client.receive())["resume"] == "ok"
        assert await client.receive() == {"type": "caught_up", "cursor": cursors[10]}
        await database_sync_to_async(reader.append)()
        await client.until_events(1)
    assert [seq(event["cursor"]) for event in client.events] == [11]


@pytest.mark.once
async def test_resume_from_an_events_cursor_inside_a_batch(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-24"""
    async with feed(server, reader.token, cursor="oldest") as client:
        batch = await client.until("events")
    inside = batch["events"][6]["cursor"]
    assert inside != batch["cursor"]
    assert await received(server, reader, cursor=inside) == [8, 9, 10]


async def test_resume_inside_a_shared_live_batch(server: HostServer, reader: Reader, cursors: list[str]) -> None:
    """feed-24: others are live on the very frame in which this client's place lies"""
    async with feed(server, reader.token) as other:
        await other.until("caught_up")
        await database_sync_to_async(reader.append)(5)
        await other.until_events(5)
        assert await received(server, reader, cursor=other.events[1]["cursor"]) == [13, 14, 15]


@pytest.mark.once
async def test_resume_in_the_other_process(
    daphne: HostServer, uvicorn: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-25"""
    async with feed(daphne, reader.token, cursor="oldest", batch=3) as client:
        await client.until("events")
    assert client.position == cursors[3]
    assert await received(uvicorn, reader, cursor=client.position) == [4, 5, 6, 7, 8, 9, 10]


async def test_cursor_ahead_of_this_process_is_looked_up(reader: Reader) -> None:
    """feed-26: the hub has not looked for a long time, and another process has handed out more"""
    with host_server("daphne", LIVEREFERRALS={"FEED_POLL_INTERVAL": 60}) as server:
        async with feed(server, reader.token) as watching:
            await watching.until("caught_up")
            await database_sync_to_async(reader.append)(2)
            ahead = f"{watching.messages[0]['epoch']}.1"
            async with feed(server, reader.token, cursor=ahead) as client:
                hello = await client.receive()
                assert (hello["resume"], hello["cursor"]) == ("ok", ahead)
                await client.until("caught_up")
    assert [seq(event["cursor"]) for event in client.events] == [2]


@pytest.mark.once
async def test_cursor_beyond_the_head_is_refused(server: HostServer, reader: Reader, cursors: list[str]) -> None:
    """feed-27"""
    epoch = cursors[0].partition(".")[0]
    error, code = await refused(server, reader, cursor=f"{epoch}.11")
    assert (error["code"], code, error["retry"]) == ("cursor_in_future", 4512, False)
    assert (error["oldest"], error["newest"]) == (cursors[0], cursors[10])


@pytest.mark.once
async def test_cursor_that_is_too_old_is_told_with_the_oldest(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-28"""
    await database_sync_to_async(prune)(4)
    error, code = await refused(server, reader, cursor=cursors[2])
    assert (error["code"], code) == ("cursor_too_old", 4510)
    assert (error["oldest"], error["newest"]) == (cursors[4], cursors[10])
    assert await received(server, reader, cursor=error["oldest"]) == [5, 6, 7, 8, 9, 10]


@pytest.mark.once
async def test_cursor_exactly_at_the_oldest_is_fine_and_one_before_is_not(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-29"""
    await database_sync_to_async(prune)(4)
    assert await received(server, reader, cursor=cursors[4]) == [5, 6, 7, 8, 9, 10]
    assert (await refused(server, reader, cursor=cursors[3]))[1] == 4510


@pytest.mark.once
async def test_reader_that_agreed_to_a_gap_gets_all_that_is_kept(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-30"""
    await database_sync_to_async(prune)(4)
    async with feed(server, reader.token, cursor=cursors[2], on_gap="oldest") as client:
        hello = await client.receive()
        await client.until("caught_up")
    assert hello["resume"] == "gap"
    assert hello["gap"] == {"reason": "cursor_too_old", "from": cursors[2], "to": cursors[4]}
    assert [seq(event["cursor"]) for event in client.events] == [5, 6, 7, 8, 9, 10]


@pytest.mark.once
async def test_cursor_of_another_epoch(server: HostServer, reader: Reader, cursors: list[str]) -> None:
    """feed-31"""
    error, code = await refused(server, reader, cursor="otherepoch.3")
    assert (error["code"], code) == ("other_epoch", 4511)
    async with feed(server, reader.token, cursor="otherepoch.3", on_gap="oldest") as client:
        hello = await client.receive()
        await client.until("caught_up")
    assert hello["gap"] == {"reason": "other_epoch", "from": "otherepoch.3", "to": cursors[0]}
    assert len(client.events) == 10


async def test_new_epoch_sends_open_connections_round_again(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-31: renumbered while a client is connected"""
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
        await database_sync_to_async(EventLog.objects.update)(epoch="newepoch")
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("resync", 4001)
    assert (await refused(server, reader, cursor=cursors[10]))[1] == 4511


GARBAGE: dict[str, str | bytes] = {
    "empty": "",
    "dot": ".",
    "no number": "a.",
    "no epoch": ".1",
    "negative": "k3f9.-1",
    "leading zero": "k3f9.01",
    "exponent": "k3f9.1e3",
    "5,000 characters": "k" * 5000,
    "NUL": "k3f9.1\0",
    "full-width digits": "k3f9.１２",  # noqa: RUF001 - the point
    "2^63": f"k3f9.{2**63}",
    "trailing newline": "k3f9.1\n",
    "not UTF-8": b"k3f9.\xff",
}


@pytest.mark.once
async def test_garbage_for_a_cursor_is_refused(server: HostServer, reader: Reader) -> None:
    """feed-32"""
    for name, garbage in GARBAGE.items():
        async with feed(server, reader.token, query=f"cursor={quote(garbage)}") as client:
            error, code = await client.ending()
        assert error is not None
        assert (error["code"], code) == ("bad_cursor", 4513), name
    assert OUR_CODE not in server.output()


async def test_since_starts_at_the_first_event_numbered_then(
    server: HostServer, reader: Reader, cursors: list[str]
) -> None:
    """feed-37"""

    def spread() -> list[str]:
        start = timezone.now()
        moments = [start + timedelta(minutes=number // 2) for number in range(1, 11)]
        for number, moment in enumerate(moments, start=1):
            Event.objects.filter(seq=number).update(numbered_at=moment)
        return [rfc3339(moment) for moment in moments]

    times = await database_sync_to_async(spread)()
    assert times[3] == times[4]
    assert await received(server, reader, since=times[3]) == [4, 5, 6, 7, 8, 9, 10]
    assert await received(server, reader, since="2001-01-01T00:00:00Z") == list(range(1, 11))
    assert await received(server, reader, since="2101-01-01T00:00:00+02:00") == []
    await database_sync_to_async(prune)(4)
    assert (await refused(server, reader, since=times[1]))[1] == 4510


BAD_PARAMETERS = {
    "unknown type": ("types=hit,banana", "bad_request"),
    "no type": ("types=", "bad_request"),
    "doubled": ("batch=5&batch=6", "bad_request"),
    "doubled cursor": ("cursor=oldest&cursor=oldest", "bad_request"),
    "cursor and since": ("cursor=oldest&since=2026-01-01T00:00:00Z", "bad_request"),
    "since without offset": ("since=2026-01-01T00:00:00", "bad_request"),
    "since with a bare plus": ("since=2026-01-01T00:00:00+01:00", "bad_request"),
    "no day": ("since=2026-02-30T00:00:00Z", "bad_request"),
    "links": ("links=1,2", "bad_request"),
    "foreign link": ("links=01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11", "forbidden"),
    "ack": ("ack=yes", "bad_request"),
    "on_gap": ("on_gap=go", "bad_request"),
    "batch too small": ("batch=0", "bad_request"),
    "batch too large": ("batch=501", "bad_request"),
    "batch in other digits": ("batch=%D9%A5", "bad_request"),
    "type beyond the scopes": ("types=delivery", "forbidden"),
    "too long": ("nothing=" + "x" * 4096, "bad_request"),
}


@pytest.mark.once
async def test_bad_parameters_are_refused(daphne: HostServer, transactional_db: None) -> None:
    """feed-36"""
    reader = await database_sync_to_async(make_reader)(scopes=["hits"])
    for name, (query, code) in BAD_PARAMETERS.items():
        async with feed(daphne, reader.token, query=query) as client:
            error, _ = await client.ending()
        assert error is not None
        assert error["code"] == code, name


async def test_long_history_comes_in_order_and_is_caught_up_once(server: HostServer, reader: Reader) -> None:
    """feed-38, feed-56: with others' events between, and while more arrive; no batch above 500"""

    def write(count: int) -> None:
        log.append_all(make_entry(partner=uid) for uid in [reader.partner.uid, "other"] * count)

    await database_sync_to_async(write)(1200)
    async with feed(server, reader.token, cursor="oldest", ack=1) as client:
        await client.until("events")
        await database_sync_to_async(write)(50)
        await client.until_events(1250)
        await database_sync_to_async(reader.append)()
        await client.until_events(1251)
    assert [seq(event["cursor"]) for event in client.events] == [*range(1, 2501, 2), 2501]
    assert [message["type"] for message in client.messages].count("caught_up") == 1
    assert max(len(message.get("events", ())) for message in client.messages) <= 500
