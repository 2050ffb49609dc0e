"""One run of the chaos: the scene is set, the load begins, things happen one after the other, and there is an account."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from tests.faults import misfortunes
from tests.faults.machinery import OddServer, WorkerProcess, own_valkey
from tests.faults.misfortunes import LOCK_TIMEOUT_S, ON_POSTGRES, ON_SQLITE, Scene
from tests.faults.play import Play
from tests.partner import partner_sink
from tests.servers import server_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.machinery import Postgres
    from tests.faults.misfortunes import Misfortune


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a run goes."""

    seconds: float
    seed: int
    short: bool
    """The commonest misfortunes once each, for a moment, and with little load."""
    keep: Path | None = None
    """A directory for what was answered, and for the logs of all processes."""


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def perform(course: Course, postgres: Postgres | None) -> bool:
    """Run it, say what happened, and return whether something is wrong."""
    say(f"Seed {course.seed}, {'SQLite' if postgres is None else 'PostgreSQL and Valkey'}")
    with partner_sink() as sink, scene_of(course, postgres) as scene:
        play = Play.on(scene.servers, sink, seed=course.seed, pace_s=0.05 if course.short else 0.2)
        if not course.short:
            play.followers, play.shoppers = 10, 4
        play.run(lambda: live_through(course, scene, play))
    faults = play.faults()
    say(play.account())
    if course.keep is not None:
        keep(course.keep, play)
    return bool(faults)


def keep(directory: Path, play: Play) -> None:
    """Keep what can be looked at afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    play.load.answered.write(directory / "answers.json")
    for log in Path(settings.SCRATCH).glob("*.log"):
        shutil.copy(log, directory)


@contextlib.contextmanager
def scene_of(course: Course, postgres: Postgres | None, **referrals: Any) -> Iterator[Scene]:
    """Start what is to be mistreated, with these settings of ours on PostgreSQL; end it in peace."""
    chance = random.Random(course.seed)  # noqa: S311 - a load, not a secret
    longest_s = 1.0 if course.short else 5.0
    with contextlib.ExitStack() as stack:
        if postgres is None:
            impatient = {"OPTIONS": {"timeout": LOCK_TIMEOUT_S}}
            scene = Scene(
                servers=[OddServer("uvicorn", server_environment(), database=impatient)],
                sqlite=str(settings.DATABASES["default"]["NAME"]),
                chance=chance,
                longest_s=longest_s,
            )
        else:
            valkey = stack.enter_context(own_valkey())
            apart = {"CALLBACKS": {"WORKER": "external"}} | referrals
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


async def live_through(course: Course, scene: Scene, play: Play) -> None:
    """Let things happen one after the other, each kind at least once; after each, clients are answered again."""
    begun = time.monotonic()
    left = bag(course, scene)
    while left:
        await play.recovered()
        await asyncio.to_thread(left.pop(), scene)
        say(f"{time.monotonic() - begun:7.1f} s  {scene.notes[-1]}")
        if not left and not course.short and time.monotonic() - begun < course.seconds:
            left = bag(course, scene)
    await play.recovered()


def bag(course: Course, scene: Scene) -> list[Misfortune]:
    """Return what is to happen, in the order of chance."""
    kinds: list[Misfortune] = list(ON_SQLITE if scene.postgres is None else ON_POSTGRES)
    if course.short:
        kinds = kinds[: misfortunes.SHORT]
    scene.chance.shuffle(kinds)
    return kinds
