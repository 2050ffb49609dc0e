from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING

import aiohttp
import pytest
from channels.db import database_sync_to_async
from django.conf import settings as django_settings
from django.test import Client

from livereferrals.dashboard.messages import SUBPROTOCOL
from livereferrals.events import log, sequencer
from tests.dashboard import makers
from tests.factories import make_link, make_staff
from tests.servers import HostServer, host_server
from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async

SOON_S = 30.0
"""A second is promised, on a machine that does nothing else."""
FRAMES_A_SECOND = 4

both_servers = pytest.mark.parametrize("server", ["daphne", "uvicorn"], indirect=True)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[HostServer]:
    with host_server(getattr(request, "param", "daphne")) as running:
        yield running


def cookie() -> dict[str, str]:
    client = Client()
    client.force_login(make_staff())
    name = django_settings.SESSION_COOKIE_NAME
    return {"Cookie": f"{name}={client.cookies[name].value}"}


class Page:
    """A page that is open in a browser: first paint over HTTP, then its socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, markup: str) -> None:
        self.socket = socket
        self.markup = markup
        self.frames: list[str] = []
        self.regions: dict[str, str] = {}
        """What the page shows: of each region the markup that came last."""

    async def until(self, **wanted: str) -> float:
        """Return when, on the monotonic clock, the page showed these numbers."""
        async with asyncio.timeout(DEADLINE_S):
            async for message in self.socket:
                if message.data.startswith("{"):
                    continue
                self.frames.append(message.data)
                self.regions |= makers.regions_of(message.data)
                await self.socket.send_str(json.dumps({"type": "ack", "cursor": makers.cursor_of(message.data)}))
                if wanted.items() <= makers.metrics("".join(self.regions.values())).items():
                    return time.monotonic()
        raise AssertionError(f"closed with {self.socket.close_code}")


async def open_pages(server: HostServer, count: int = 1) -> AsyncIterator[list[Page]]:
    headers = await in_db(cookie)()
    async with aiohttp.ClientSession(headers=headers) as session:
        pages = []
        for _ in range(count):
            async with session.get(server.url("/referrals/")) as answer:
                assert answer.status == 200
                markup = await answer.text()
            query = f"cursor={makers.cursor_of(markup)}&period={makers.period_of(markup)}"
            url = server.ws_url(f"/referrals/live/ws?{query}")
            origin = server.url("")
            socket = await session.ws_connect(url, origin=origin, protocols=[SUBPROTOCOL])
            assert json.loads((await socket.receive(DEADLINE_S)).data)["type"] == "hello"
            pages.append(Page(socket, markup))
        yield pages
        for page in pages:
            await page.socket.close()


@both_servers
async def test_hit_shows_within_a_second_of_its_commit(server):
    """dashboard-3"""
    link = await in_db(make_link)()
    async for (page,) in open_pages(server):
        # The commit is another process's: no hint reaches the server, only its hub's look at the log.
        await in_db(makers.hit)(link)
        committed = time.monotonic()
        assert await page.until(hits="1") - committed < SOON_S


async def test_burst_comes_in_few_frames_with_exact_numbers(server):
    """dashboard-6"""
    link = await in_db(make_link)()

    def burst() -> None:
        for _ in range(40):
            log.append_all([makers.hit_entry(link) for _ in range(50)])
            sequencer.number_events()

    async for page, other in open_pages(server, 2):
        began = time.monotonic()
        writer = asyncio.create_task(in_db(burst)())
        took_s = await page.until(hits="2000") - began
        await writer
        await other.until(hits="2000")
        assert len(page.frames) <= 4 + FRAMES_A_SECOND * took_s
        assert page.regions == other.regions


@both_servers
async def test_refusals_reach_the_client(server):
    """dashboard-14, dashboard-17: a foreign page gets 403, who is not signed in hears why"""
    url = server.ws_url("/referrals/live/ws")
    async with aiohttp.ClientSession() as session:
        for origin in ("http://evil.example", None):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(url, origin=origin)
            assert refused.value.status == 403
        socket = await session.ws_connect(url, origin=server.url(""))
        assert json.loads((await socket.receive(DEADLINE_S)).data)["code"] == "unauthorized"
        assert (await socket.receive(DEADLINE_S)).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4501


async def test_reading_the_page_makes_no_hit_wait(server):
    """dashboard.md 3: under `transaction_mode=IMMEDIATE` a plain `atomic()` takes the write lock"""
    link = await in_db(make_link)()
    ended = threading.Event()

    async def read_on(session: aiohttp.ClientSession) -> int:
        count = 0
        while not ended.is_set():
            async with session.get(server.url("/referrals/")) as answer:
                assert answer.status == 200
            count += 1
        return count

    async with aiohttp.ClientSession(headers=await in_db(cookie)()) as session:
        reader = asyncio.create_task(read_on(session))
        try:
            for _ in range(20):
                await in_db(makers.hit)(link)
        finally:
            ended.set()
        assert await reader > 0
