"""A PostgreSQL whose disk is really full, under load: `python -m tests.faults.no_room`, also part of `make faults`.

Its files are on a small disk of its own, a tmpfs, which needs the right to mount one. First its tables cannot grow, which
is an error of single statements. Then its log cannot either, at which it ends itself, and is started again when there is
room. Servers, workers, clients and the account are those of the chaos; `TRIGGER_ERRORS` is "raise", so that no order is
taken whose confirmation cannot be written.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tests.faults.bootstrap import host_project
from tests.faults.disks import NoDiskError, own_disk
from tests.ports import HOST
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.disks import Disk
    from tests.faults.machinery import Postgres
    from tests.faults.misfortunes import Scene
    from tests.faults.play import Play
    from tests.servers import HostServer

SIZE_MIB: Final = 192
"""A new database takes 40, and each piece of its log 16."""
LOST: Final = re.compile(r"(?:A hit|(\d+) hits) on .* (?:is|are) lost|The link .* could not be looked up")
NOT_POSSIBLE: Final = 77
"""The exit code where nothing can be mounted."""


def happening(scene: Scene, play: Play, disk: Disk, postgres: Postgres) -> Callable[[], Awaitable[None]]:
    """Return what happens during the play."""

    async def happen() -> None:
        cookie = await asyncio.to_thread(log_in)
        await play.recovered()
        with disk.full():
            await refused(play)
            # What is there can be looked at.
            assert await asyncio.to_thread(status_of_dashboard, scene.servers[0], cookie) == HTTPStatus.OK
        await play.recovered()
        with disk.full():
            await asyncio.to_thread(postgres.end_its_log)
            await refused(play)
        await asyncio.to_thread(postgres.start)
        await play.recovered()
        lost = play.load.tallies["led on without a hit"]
        # The losses of a second are told together, after it.
        await eventually(lambda: sum(map(told_lost, scene.servers)) >= lost, what="As many lost hits in the log")
        await eventually(
            lambda: asyncio.to_thread(lambda: count_lost() >= lost), what="As many lost hits for staff and monitors"
        )

    return happen


async def refused(play: Play) -> None:
    """Return when visitors are led on without a hit, and orders or accounts get the host's error."""
    before = play.load.tallies.copy()

    def is_so() -> bool:
        new = play.load.tallies - before
        failed = sum(number for what, number in new.items() if what.endswith(": 500"))
        return new["led on without a hit"] > play.followers and failed > 0

    await eventually(is_so, what="Visitors who are led on, and orders that are refused")


def log_in() -> str:
    """Return the cookie of a member of staff."""
    from django.conf import settings
    from django.test import Client

    from tests.factories import make_staff

    client = Client()
    client.force_login(make_staff())
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def status_of_dashboard(server: HostServer, cookie: str) -> int:
    """Return the status of its first page."""
    from django.urls import reverse

    conversation = http.client.HTTPConnection(HOST, server.port, timeout=60)
    conversation.request("GET", reverse("livereferrals_dashboard:overview"), headers={"Cookie": cookie})
    return conversation.getresponse().status


def count_lost() -> int:
    """Return how many lost hits staff are shown."""
    from django.db import connections

    from livereferrals.dashboard import system

    connections.close_all()  # one of before the end of the database
    return system.look().lost_hits.total()


def told_lost(server: HostServer) -> int:
    """Return how many lost hits are in a server's log."""
    return sum(int(number or 1) for number in LOST.findall(server.output()))


def perform(disk: Disk, postgres: Postgres) -> bool:
    """Run it, and return whether something is lost."""
    from tests.faults import course
    from tests.faults.play import Play
    from tests.partner import partner_sink

    short = course.Course(seconds=0, seed=1, short=True)
    with partner_sink() as sink, course.scene_of(short, postgres, TRIGGER_ERRORS="raise") as scene:
        play = Play.on(scene.servers, sink)
        play.load.orders = 10_000  # those who buy go on trying, where nobody new gets in
        play.run(happening(scene, play, disk, postgres))
    faults = play.faults()
    course.say(play.account())
    return bool(faults)


def main() -> int:
    """Run it where a disk can be mounted."""
    try:
        with own_disk(SIZE_MIB) as disk, host_project("postgres", within=disk.path) as postgres:
            assert postgres is not None
            return int(perform(disk, postgres))
    except NoDiskError as error:
        sys.stdout.write(f"PostgreSQL's disk cannot be filled: {error}\n")
        return NOT_POSSIBLE


if __name__ == "__main__":
    sys.exit(main())
