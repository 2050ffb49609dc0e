"""The planned end of a server process, and what its clients, new ones and the load balancer see of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from livereferrals.tracking.models import ReferralHit
from tests.factories import make_link
from tests.faults.test_hit_kills import no_commits
from tests.servers import HOST, HostServer, host_server
from tests.streaming.clients import OUR_CODE, feed, seq
from tests.streaming.conftest import SETTINGS, Reader
from tests.streaming.crowds import CROWD_LIMITS, crowd, endings
from tests.waiting import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import ServerKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

CROWD = SETTINGS | {"FEED_LIMITS": CROWD_LIMITS}
DRAIN_S = 15.0
SLACK_S = 15.0
"""What a busy machine adds."""
SOAK = "LIVEREFERRALS_SOAK" in os.environ
"""At the scale of the protocol's own list."""


def answer(server: HostServer, path: str) -> tuple[int, Any, str | None]:
    """Return status, JSON and `Retry-After` of a GET."""
    conversation = http.client.HTTPConnection(HOST, server.port, timeout=DEADLINE_S)
    try:
        conversation.request("GET", path)
        found = conversation.getresponse()
        return found.status, json.load(found), found.headers["Retry-After"]
    finally:
        conversation.close()


@pytest.mark.parametrize(
    ("kind", "count"), [("daphne", 500 if SOAK else 120), ("uvicorn", 60)], ids=["daphne", "uvicorn"]
)
async def test_stopped_server_parts_from_each_of_a_crowd(reader: Reader, kind: ServerKind, count: int) -> None:
    """feed-48: `goodbye` and 4000 for each, spread over ten seconds; all resume without loss"""
    with host_server(kind, LIVEREFERRALS=CROWD) as server:
        process = server.process
        assert process is not None
        async with crowd(server, reader.token, count) as clients:
            await database_sync_to_async(reader.append)(2)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            found = await endings(clients)
            await asyncio.to_thread(process.wait, DEADLINE_S)
            took_s = time.monotonic() - began
        await database_sync_to_async(reader.append)(2)
        positions = [client.position for client in clients]
        log = server.output()
        server.start()
        async with crowd(server, reader.token, count, cursor=min(positions, key=seq)) as again:
            for client in again:
                await client.until("caught_up")
    assert {(said["type"], said["reason"], code) for said, code in found if said} == {("goodbye", "restart", 4000)}
    waits = sorted(said["retry_after_s"] for said, _ in found if said)
    assert len(waits) == count
    assert all(abs(wait - 10 * place / count) < 0.2 for place, wait in enumerate(waits))
    assert took_s < DRAIN_S + SLACK_S
    assert OUR_CODE not in log
    for before, after in zip(clients, again, strict=True):
        cursors = {event["cursor"] for event in before.events + after.events}
        assert sorted(map(seq, cursors)) == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_draining_server_lets_nobody_in(reader: Reader, kind: ServerKind) -> None:
    """feed-48: not ready, 503 and 4000, while the host's own pages are served; a second SIGTERM ends it at once"""
    with host_server(kind, LIVEREFERRALS=CROWD) as server:
        process = server.process
        assert process is not None
        async with crowd(server, reader.token, 1) as (held,), crowd(server, reader.token, 1):
            # One that does not close keeps the drain going; its own closing handshake is held back.
            held.socket.transport.pause_reading()
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(
                wait_until, lambda: answer(server, "/healthz?ready")[0] == 503, what="The end of readiness"
            )
            status, said, wait = await asyncio.to_thread(answer, server, "/referrals/feed/v1/poll?cursor=oldest")
            assert (status, said["code"], said["close"], said["retry"]) == (503, "restart", 4000, True)
            assert wait is not None
            assert 0 <= said["retry_after_s"] <= int(wait) <= 10
            assert (await asyncio.to_thread(answer, server, "/healthz"))[0] == 200
            async with feed(server, reader.token) as late:
                error, code = await late.ending()
            assert error is not None
            assert (error["code"], code) == ("restart", 4000)
            process.send_signal(signal.SIGTERM)
            held.socket.transport.resume_reading()
            await asyncio.to_thread(process.wait, DEADLINE_S)


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_request_under_way_is_answered_before_the_end(kind: ServerKind) -> None:
    """feed-48, L-10: a follow whose hit waits for the database, where no reader is connected; meanwhile it is not ready"""
    make_link(identifier="abc123")
    with host_server(kind, LIVEREFERRALS=CROWD) as server:
        process = server.process
        assert process is not None
        with contextlib.closing(http.client.HTTPConnection(HOST, server.port, timeout=DEADLINE_S)) as visitor:
            with no_commits():
                visitor.request("GET", "/ref/abc123?next=/x", headers={"User-Agent": "Mozilla/5.0"})
                for _ in range(3):  # what was sent before them has arrived when they are answered
                    assert answer(server, "/healthz")[0] == 200
                process.send_signal(signal.SIGTERM)
                wait_until(lambda: answer(server, "/healthz?ready")[0] == 503, what="The end of readiness")
            found = visitor.getresponse()
            assert (found.status, found.headers["Location"]) == (302, "/x")
            assert "livereferrals_visitor" in found.headers["Set-Cookie"]
        process.wait(DEADLINE_S)
        assert OUR_CODE not in server.output()
    assert ReferralHit.objects.count() == 1


@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
async def test_stopped_server_says_goodbye_to_dashboards(kind: ServerKind) -> None:
    """dashboard-11: `goodbye` with a time to come back, then 4000"""
    cookie = await database_sync_to_async(staff_cookie)()
    with host_server(kind, LIVEREFERRALS=CROWD) as server:
        process = server.process
        assert process is not None
        headers = {"Cookie": cookie, "Origin": server.url("").rstrip("/")}
        address = server.ws_url("/referrals/live/ws?view=overview")
        async with connect(address, additional_headers=headers, proxy=None) as live:
            assert json.loads(await live.recv())["type"] == "hello"
            process.send_signal(signal.SIGTERM)
            said = [json.loads(text) async for text in markup_left_out(live)]
            closed = live.close_code
        await asyncio.to_thread(process.wait, DEADLINE_S)
        assert OUR_CODE not in server.output()
    goodbye = said[-1]
    assert (goodbye["type"], goodbye["reason"]) == ("goodbye", "restart")
    assert goodbye["retry_after_s"] >= 0
    assert closed == 4000


async def markup_left_out(live: ClientConnection) -> AsyncIterator[str]:
    """Give the control messages until the close."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            text = await asyncio.wait_for(live.recv(decode=True), DEADLINE_S)
            if text.startswith("{"):
                yield text


def staff_cookie() -> str:
    user = get_user_model().objects.create_superuser("staff")
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"
