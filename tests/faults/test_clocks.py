"""Clocks that are set while the shop is open, and machines whose clock is wrong."""

from __future__ import annotations

import subprocess
import sys
import uuid
from datetime import timedelta
from http import HTTPStatus
from itertools import pairwise
from typing import TYPE_CHECKING

import aiohttp
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, Endpoint
from livereferrals.dashboard import rebuilding
from livereferrals.dashboard.models import HourlyPartnerTotal
from livereferrals.events.models import Event
from tests.callbacks.running import owe, subscribe
from tests.factories import make_event, make_partner
from tests.faults.machinery import odd_environment, odd_server
from tests.faults.play import Play
from tests.servers import ROOT, server_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.partner import PartnerSink
    from tests.servers import HostServer

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_S = 3600
STEPS_S = (2 * HOUR_S, -HOUR_S, 2 * HOUR_S)
"""Forward in the end: what was due at a time that a step back has made the future is late by as much (callbacks, 4)."""


def test_clock_that_is_set_loses_and_doubles_nothing(sink: PartnerSink, tmp_path: Path) -> None:
    """feed-52, callback-F44, O-05: forward by 2 h, back by 3 h, and forward again, with deliveries under way"""
    clock = tmp_path / "clock"
    clock.write_text("0")
    with odd_server("uvicorn", server_environment(), clock=str(clock)) as server:
        play = Play.on([server], sink)
        tickets: list[str] = []

        async def happen() -> None:
            await play.recovered()
            tickets.append(await ticket(server, play.readers[0].token))
            for by_s in STEPS_S:
                clock.write_text(str(by_s))
                await play.recovered()
                if by_s > 0:
                    assert await opens(server, tickets[0]) == HTTPStatus.UNAUTHORIZED
                tickets.append(await ticket(server, play.readers[0].token))
                assert await opens(server, tickets[-1]) == HTTPStatus.OK
                assert await opens(server, tickets[-1]) == HTTPStatus.UNAUTHORIZED

        play.run(happen)
    assert play.faults() == [], play.account()
    times = Event.objects.order_by("seq").values_list("numbered_at", flat=True)
    assert all(before <= after for before, after in pairwise(filter(None, times))), "`since` relies on it"


async def ticket(server: HostServer, token: str) -> str:
    """Change a token for a ticket."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(server.url("/referrals/feed/v1/ticket")) as answer,
    ):
        assert answer.status == HTTPStatus.CREATED
        text: str = (await answer.json())["ticket"]
        return text


async def opens(server: HostServer, text: str) -> int:
    """Open a stream with a ticket and go; return the status."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.url("/referrals/feed/v1/sse"), params={"ticket": text}) as answer,
    ):
        return answer.status


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no clock but the machine's")
def test_machine_whose_clock_is_ahead_forgets_nothing(tmp_path: Path) -> None:
    """O-04, O-05: it goes by the database's clock, as all others do"""
    partner = make_partner()
    events = [make_event(partner=partner.uid) for _ in range(3)]
    call_command("livereferrals", "rollup", verbosity=0)
    make_event(partner=partner.uid)
    clock = tmp_path / "clock"
    clock.write_text(str(30 * 24 * HOUR_S))
    ahead(clock, "livereferrals", "prune", "events")  # which brings the totals up to date before
    assert Event.objects.count() == len(events) + 1
    assert HourlyPartnerTotal.objects.filter(partner=partner.uid).exists()
    assert rebuilding.check() == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no clock but the machine's")
def test_machine_whose_clock_is_ahead_calls_nobody_too_early(sink: PartnerSink, tmp_path: Path) -> None:
    """callback-F44: it takes no lease of a worker that is well, and makes nothing that is due tomorrow"""
    due, held, later = (subscribe(sink.url(path)) for path in ("/due", "/held", "/later"))
    deliveries = {each.pk: owe(each) for each in (due, held, later)}
    now = timezone.now()
    lease = {"lease_token": uuid.uuid4(), "leased_by": "elsewhere:1:1", "lease_until": now + timedelta(minutes=1)}
    Endpoint.objects.filter(pk=held.pk).update(**lease)
    Delivery.objects.filter(pk=deliveries[later.pk].pk).update(due_at=now + timedelta(days=1))
    clock = tmp_path / "clock"
    clock.write_text(str(30 * 24 * HOUR_S))
    ahead(clock, "livereferrals", "worker", "--once")
    assert [call.path for call in sink.calls] == ["/due"]


def ahead(clock: Path, *command: str) -> None:
    """Run a command with a wrong clock."""
    subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "tests.faults.odd_process", "manage", *command],
        cwd=ROOT,
        env=odd_environment(server_environment(), clock=str(clock)),
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
