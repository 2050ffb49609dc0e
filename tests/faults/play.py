"""One run of the chaos: the scene is set, the load begins, things happen, and in the end there is an account."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import connections
from django.test import override_settings

from livereferrals.callbacks.models import Delivery
from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.streaming import tokens
from tests.callbacks.running import LOOPBACK
from tests.factories import make_link, make_partner, make_subscription
from tests.faults import misfortunes
from tests.faults.accounting import Reading, find_faults, report
from tests.faults.books import read_books
from tests.faults.load import Effects, Load, Reader
from tests.faults.machinery import OddServer, WorkerProcess, own_valkey
from tests.faults.misfortunes import LOCK_TIMEOUT_S, ON_POSTGRES, ON_SQLITE, Scene
from tests.partner import partner_sink
from tests.servers import server_environment
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.client.address import Transport
    from livereferrals.tracking.models import Partner
    from tests.faults.machinery import Postgres
    from tests.faults.misfortunes import Misfortune
    from tests.partner import PartnerSink

AT_REST_WITHIN_S: Final = 240.0
"""How long it may take until everything that is owed is done."""
TRIGGERS: Final = ("User registered", "Order paid")
TRANSPORTS: Final[tuple[tuple[bool, Transport], ...]] = ((True, "ws"), (True, "poll"), (False, "ws"), (False, "sse"))
"""The readers: whether it is the house's, which reads everything, and how it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a run goes."""

    seconds: float
    seed: int
    short: bool
    keep: Path | None = None
    """A directory for what was answered, and for the logs of all processes."""

    @property
    def followers(self) -> int:
        return 3 if self.short else 10

    @property
    def shoppers(self) -> int:
        return 2 if self.short else 4


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def perform(course: Course, postgres: Postgres | None) -> bool:
    """Run it, say what happened, and return whether something is wrong."""
    say(f"Seed {course.seed}, {'SQLite' if postgres is None else 'PostgreSQL and Valkey'}")
    with partner_sink() as sink, scene_of(course, postgres) as scene:
        partner = set_up(sink)
        load = Load(servers=scene.servers, chance=random.Random(course.seed), pace_s=0.05 if course.short else 0.2)  # noqa: S311 - a load, not a secret
        readers = [_reader(load, partner if is_partners else None, how) for is_partners, how in TRANSPORTS]
        connections.close_all()
        asyncio.run(run(course, scene, load, readers))
        load.answered.calls = [(call.headers["webhook-id"], call.body.decode()) for call in sink.calls]
    load.answered.readings = [reader.effects.reading for reader in readers]
    books = read_books()
    if course.keep is not None:
        keep(course.keep, load)
    faults = find_faults(load.answered, books)
    say(", ".join(f"{what}: {number}" for what, number in sorted(load.tallies.items())))
    say(report(load.answered, books, faults))
    return bool(faults)


def keep(directory: Path, load: Load) -> None:
    """Keep what can be looked at afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    load.answered.write(directory / "answers.json")
    for log_file in Path(settings.SCRATCH).glob("*.log"):
        shutil.copy(log_file, directory)


@contextlib.contextmanager
def scene_of(course: Course, postgres: Postgres | None) -> Iterator[Scene]:
    """Start what is to be mistreated; end it in peace."""
    chance = random.Random(course.seed)  # noqa: S311 - as above
    longest_s = 1.0 if course.short else 5.0
    with contextlib.ExitStack() as stack:
        if postgres is None:
            oddities = {"database": {"OPTIONS": {"timeout": LOCK_TIMEOUT_S}}}
            scene = Scene(
                servers=[OddServer("uvicorn", server_environment(), oddities)],
                sqlite=str(settings.DATABASES["default"]["NAME"]),
                chance=chance,
                longest_s=longest_s,
            )
        else:
            valkey = stack.enter_context(own_valkey())
            apart = {"CALLBACKS": {"WORKER": "external"}}
            environment = server_environment(redis_url=valkey.url, LIVEREFERRALS=apart)
            scene = Scene(
                servers=[OddServer("uvicorn", environment), OddServer("daphne", environment)],
                workers=[WorkerProcess(environment) for _ in range(2)],
                postgres=postgres,
                valkey=valkey,
                chance=chance,
                longest_s=longest_s,
            )
        for process in scene.processes:
            stack.callback(process.stop)
            process.start()
        yield scene


def set_up(sink: PartnerSink) -> Partner:
    """Make a partner that is called for both triggers, and another one with a link."""
    partner, other = make_partner(uid="moox6esi", name="Acme"), make_partner(name="Other")
    make_link(partner=partner, identifier="abc123")
    make_link(partner=other, identifier="qqq777")
    with override_settings(LIVEREFERRALS={"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}):
        for number, trigger in enumerate(TRIGGERS):
            url = sink.url(f"/{number}")
            make_subscription(partner=partner, trigger=trigger, callback_url=url, allow_plain_http=True)
    return partner


def _reader(load: Load, partner: Partner | None, transport: Transport) -> Reader:
    _, token = tokens.issue(name=transport, partner=partner)
    effects = Effects(Reading(topic=None if partner is None else partner.uid))
    return Reader(load=load, token=token, transport=transport, effects=effects)


# --- the run -------------------------------------------------------------------------------------------------------------


async def run(course: Course, scene: Scene, load: Load, readers: list[Reader]) -> None:
    """Keep up the load while things happen, then wait until all that is owed is done."""
    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(reader.read_forever()) for reader in readers]
        clients = [group.create_task(load.follow_forever()) for _ in range(course.followers)]
        clients += [group.create_task(load.shop_forever()) for _ in range(course.shoppers)]
        await live_through(course, scene, load)
        for client in clients:
            client.cancel()
        await rest(readers)
        for task in reading:
            task.cancel()


async def live_through(course: Course, scene: Scene, load: Load) -> None:
    """Let things happen one after the other, each kind at least once; after each, clients are answered again."""
    begun = time.monotonic()
    left: list[Misfortune] = []
    is_first_round = True
    while left or is_first_round or (not course.short and time.monotonic() - begun < course.seconds):
        if not left:
            is_first_round, left = False, bag(course, scene)
        await recovered(load)
        misfortune = left.pop()
        await asyncio.to_thread(misfortune, scene)
        say(f"{time.monotonic() - begun:7.1f} s  {scene.notes[-1]}")
    await recovered(load)


def bag(course: Course, scene: Scene) -> list[Misfortune]:
    """Return what is to happen, in the order of chance."""
    kinds = list(ON_SQLITE if scene.postgres is None else ON_POSTGRES)
    if course.short:
        kinds = kinds[: misfortunes.SHORT]
    scene.chance.shuffle(kinds)
    return kinds


async def recovered(load: Load) -> None:
    """Return when browsers have been answered again, and an order was taken."""
    before = load.tallies.copy()

    def is_so() -> bool:
        now = load.tallies
        return now["followed"] > before["followed"] + 10 and now["ordered"] > before["ordered"]

    await eventually(is_so, timeout_s=120, what="Hits and orders that are answered again")


async def rest(readers: list[Reader]) -> None:
    """Return when all is numbered, delivered and read; what is not by then is the account's to tell."""
    with contextlib.suppress(AssertionError):
        await eventually(lambda: asyncio.to_thread(is_at_rest, readers), timeout_s=AT_REST_WITHIN_S)


def is_at_rest(readers: list[Reader]) -> bool:
    """Whether nothing is left to do."""
    try:
        if Event.objects.filter(seq__isnull=True).exists() or Delivery.objects.exclude(state="delivered").exists():
            return False
        head = log.bounds().head
        return all(reader.effects.place >= head for reader in readers)
    finally:
        connections.close_all()
