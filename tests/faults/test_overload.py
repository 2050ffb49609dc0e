"""Ten times what there is room for: clear answers, nothing answered is lost, and afterwards all is as before."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest
from channels.db import database_sync_to_async

from livereferrals.tracking import visitors
from livereferrals.tracking.models import ReferralHit
from tests.callbacks.running import LOOPBACK, owe, pile_up, subscribe, wait_for_state
from tests.factories import make_link
from tests.faults.load import AGENT, COOKIE
from tests.faults.machinery import odd_server
from tests.faults.test_hit_kills import no_commits
from tests.partner import Answer
from tests.servers import HostServer, host_server, server_environment
from tests.streaming.clients import RawFeed, feed
from tests.streaming.conftest import FAST_POLL_S, Reader, make_reader
from tests.waiting import eventually, wait_until

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)

ROOM: Final = 16
"""Hits that are written at a time, and that may wait."""
TENFOLD: Final = 10
PLACES: Final = 3
"""Connections of one token."""
TAKES_S: Final = 0.03
"""How long the partner takes for a callback, of which it wants two at a time."""
LOST: Final = re.compile(r"(?:A hit|(\d+) hits) on .* (?:is|are) lost \(overload\)")


class Storm:
    """Browsers that all follow the link at once, each without a cookie."""

    def __init__(self, server: HostServer) -> None:
        self.server = server
        self.visitors: list[str] = []
        self.answers: Counter[str] = Counter()

    async def blow(self) -> None:
        """Follow, and note what was answered."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, headers=AGENT, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            await asyncio.gather(*(self._follow(session) for _ in range(TENFOLD * ROOM)))

    async def _follow(self, session: aiohttp.ClientSession) -> None:
        url = self.server.url("/ref/abc123?next=/page/")
        async with session.get(url, allow_redirects=False) as answer:
            await answer.read()
        cookie = COOKIE.match(answer.headers.get("Set-Cookie", ""))
        if cookie is None:
            assert answer.status in {HTTPStatus.FOUND, HTTPStatus.SERVICE_UNAVAILABLE}
            assert (answer.headers.get("Retry-After") is not None) == (answer.status == HTTPStatus.SERVICE_UNAVAILABLE)
            self.answers[str(answer.status)] += 1
            return
        carried = visitors.read_cookie(cookie[1])
        assert carried is not None
        self.visitors.append(str(carried.id))


@pytest.mark.parametrize(
    ("setting", "status"), [("redirect", "302"), pytest.param("unavailable", "503", marks=pytest.mark.once)]
)
def test_hits_for_which_there_is_no_room_are_told_apart_and_counted(setting: str, status: str) -> None:
    """L-10, L-27: led on without a cookie, or asked to come again; what was answered with one is there, once"""
    make_link(identifier="abc123")
    narrow = {"most": ROOM // 4, "room": ROOM - ROOM // 4, "room_within_s": 0.2, "patience_s": 60.0}
    environment = server_environment(LIVEREFERRALS={"HITS_OVERLOAD": setting, "CALLBACKS": {"WORKER": "off"}})
    with odd_server("uvicorn", environment, hits=narrow) as server, ThreadPoolExecutor(1) as pool:
        storm, calm = Storm(server), Storm(server)
        with no_commits():
            blowing = pool.submit(asyncio.run, storm.blow())
            wait_until(lambda: storm.answers[status] >= (TENFOLD - 2) * ROOM, what="Answers to those without room")
        blowing.result()
        asyncio.run(one_by_one(calm))
        lost = storm.answers[status]
        assert storm.answers.keys() == {status}
        # The losses of a second are told together, after it.
        wait_until(lambda: told_lost(server) == lost, what="As many losses in the log")
    assert lost + len(storm.visitors) == TENFOLD * ROOM
    assert len(calm.visitors) == PLACES
    there = Counter(str(visitor) for visitor in ReferralHit.objects.values_list("visitor", flat=True))
    assert there == Counter(storm.visitors + calm.visitors)


async def one_by_one(storm: Storm) -> None:
    async with aiohttp.ClientSession(headers=AGENT, cookie_jar=aiohttp.DummyCookieJar()) as session:
        for _ in range(PLACES):
            await storm._follow(session)


def told_lost(server: HostServer) -> int:
    return sum(int(number or 1) for number in LOST.findall(server.output()))


@pytest.mark.once
async def test_readers_for_whom_there_is_no_place_are_told_when_to_come_again() -> None:
    """feed-47: of ten times as many, at once; those who are in stay and get what comes, and places that are free are given"""
    limits = {"connections_token": PLACES, "connections_partner": 100, "connects_burst": 1000}
    settings = {"FEED_POLL_INTERVAL": FAST_POLL_S, "CALLBACKS": {"WORKER": "off"}, "FEED_LIMITS": limits}
    reader = await database_sync_to_async(make_reader)()
    async with contextlib.AsyncExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, host_server("daphne", LIVEREFERRALS=settings))
        clients = await asyncio.gather(*(enter(stack, server, reader) for _ in range(TENFOLD * PLACES)))
        inside = [client for client in clients if client is not None]
        assert len(inside) == PLACES
        await database_sync_to_async(reader.append)()
        for client in inside:
            await client.until_events(1)
        for client in inside:
            await client.socket.close()

        async def is_let_in() -> bool:
            return await enter(stack, server, reader) is not None

        await eventually(is_let_in, what="A place that has become free")


async def enter(stack: contextlib.AsyncExitStack, server: HostServer, reader: Reader) -> RawFeed | None:
    """Connect; return the client, or nothing where it is refused as it has to be."""
    client = await stack.enter_async_context(feed(server, reader.token, cursor="oldest"))
    first = await client.receive()
    if first["type"] == "hello":
        return client
    assert (first["code"], first["close"], first["retry"]) == ("too_many_connections", 4029, True)
    assert first["retry_after_s"] > 0
    assert (await client.ending())[1] == 4029
    return None


@pytest.mark.once
def test_callbacks_that_come_faster_than_a_partner_takes_them_wait(sink: PartnerSink) -> None:
    """callback-F36, callback-F35: its own wait their turn, the others' go at once, and each is made once"""
    sink.default = Answer(delay_s=TAKES_S)
    busy: dict[str, Any] = {"WORKER": "embedded", "ALLOW": LOOPBACK, "CONCURRENCY": 8}
    slow, quick = subscribe(sink.url("/slow"), max_in_flight=2), subscribe(sink.url("/quick"))
    with host_server("uvicorn", LIVEREFERRALS={"CALLBACKS": busy}):
        rows = pile_up(slow, TENFOLD * 8)
        sink.wait_for(1)
        done = wait_for_state(owe(quick), "delivered", timeout_s=60)  # type: ignore[arg-type] # its value
        assert sum(call.path == "/slow" for call in sink.calls) < len(rows)
        sink.wait_for(len(rows) + 1)
        wait_until(lambda: not type(done).objects.exclude(state="delivered").exists(), what="All of them settled")
    times = [call.at for call in sink.calls if call.path == "/slow"]
    # Of any three in a row, the third had to wait for the end of one of the others.
    assert all(third - first > 0.8 * TAKES_S for first, third in zip(times, times[2:], strict=False))
    assert Counter(call.headers["webhook-id"] for call in sink.calls) == Counter(
        str(row.pk) for row in type(done).objects.all()
    )
