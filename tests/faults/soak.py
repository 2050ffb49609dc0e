"""A steady load for a while, and flat memory and files: `python -m tests.faults.soak --minutes 20`, or `make soak`.

A server and a worker, as they are in production, on PostgreSQL and Valkey or on SQLite: hits, orders, callbacks, readers of
the feed that come and go, and somebody who looks at the dashboard. Their memory and open files are noted as they go. Whatever
they hold in the last third of the time may be little more than in the second: the first is for warming up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from tests.faults.bootstrap import host_project

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.faults.machinery import Killable, Postgres
    from tests.faults.misfortunes import Scene
    from tests.faults.play import Play

MIB: Final = 1 << 20
MORE_MEMORY: Final = 0.03
"""By how much of itself the median of a process's memory may have grown from the second third to the last."""
MORE_MEMORY_MIB: Final = 3.0
"""Or by so much, whichever is more: a mebibyte is a few pages of the allocator."""
MORE_FILES: Final = 5
"""By how many the median of its open files and sockets may have grown: connections come and go."""
SAMPLES: Final = 120
"""In the whole time; a row of the table is the median of some of them."""
ROWS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a process holds."""

    memory: float
    """Resident memory in MiB, without what it shares with files."""
    files: int

    @classmethod
    def of(cls, pid: int) -> Sample:
        """Look at a process, as Linux tells it (proc(5))."""
        place = Path("/proc") / str(pid)
        lines = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        return cls(memory=int(lines["RssAnon"].split()[0]) / 1024, files=len(list((place / "fd").iterdir())))


@dataclass(slots=True, kw_only=True)
class Track:
    """One process over the time."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    def rows(self) -> list[tuple[float, float]]:
        """Return the medians of memory and files, from the beginning to the end."""
        size = max(1, len(self.samples) // ROWS)
        parts = [self.samples[start : start + size] for start in range(0, len(self.samples), size)]
        return [_medians(part) for part in parts]

    def growth(self) -> list[str]:
        """Return what has grown from the second third to the last."""
        third = len(self.samples) // 3
        (memory, files), (later, more) = _medians(self.samples[third : 2 * third]), _medians(self.samples[2 * third :])
        found = []
        if later > memory + max(MORE_MEMORY_MIB, MORE_MEMORY * memory):
            found.append(f"{self.name}: memory from {memory:.1f} to {later:.1f} MiB")
        if more > files + MORE_FILES:
            found.append(f"{self.name}: open files from {files:.0f} to {more:.0f}")
        return found


def _medians(samples: Sequence[Sample]) -> tuple[float, float]:
    return statistics.median(each.memory for each in samples), statistics.median(each.files for each in samples)


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def watch(processes: Sequence[Killable], tracks: Sequence[Track], *, seconds: float) -> None:
    """Look at the processes every now and then."""
    for number in range(SAMPLES):
        await asyncio.sleep(seconds / SAMPLES)
        for process, track in zip(processes, tracks, strict=True):
            track.samples.append(Sample.of(process.pid))
        if number % (SAMPLES // ROWS) == SAMPLES // ROWS - 1:
            now = (
                f"{track.name} {track.samples[-1].memory:.1f} MiB, {track.samples[-1].files} files" for track in tracks
            )
            say(f"{seconds * (number + 1) / SAMPLES:6.0f} s  {'; '.join(now)}")


async def look_forever(scene: Scene) -> NoReturn:
    """Open the dashboard as staff, watch it for a while over its live socket, and open it anew."""
    from asgiref.sync import sync_to_async

    from tests.factories import make_staff
    from tests.integration.stage import dashboard

    staff = await sync_to_async(make_staff)(username="boss")
    while True:
        async with dashboard(scene.servers[0], staff) as screen:
            await asyncio.sleep(20)
        assert screen.frames, "A dashboard on which nothing happens"


def living(scene: Scene, play: Play, tracks: Sequence[Track], *, seconds: float) -> Callable[[], Awaitable[None]]:
    """Return what happens during the play: nothing but time."""

    async def happen() -> None:
        looking = asyncio.create_task(look_forever(scene))
        begun = time.monotonic()
        await play.recovered()
        await watch(scene.processes, tracks, seconds=seconds)
        if looking.done():
            looking.result()
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        number = play.load.tallies
        say(f"{number['followed'] / (time.monotonic() - begun):.1f} hits a second, {number['ordered']} orders")

    return happen


def perform(minutes: float, postgres: Postgres | None) -> bool:
    """Run it, print the table, and return whether something has grown or is lost."""
    from tests.faults import course as chaos
    from tests.faults.play import Play
    from tests.partner import partner_sink

    steady = chaos.Course(seconds=60 * minutes, seed=1, short=False)
    with partner_sink() as sink, chaos.scene_of(steady, postgres) as scene:
        play = Play.on(scene.servers, sink, pace_s=0.4)
        play.followers, play.shoppers = 8, 2
        tracks = [Track(name=f"{process.name} {number}") for number, process in enumerate(scene.processes, start=1)]
        play.run(living(scene, play, tracks, seconds=steady.seconds))
    for track in tracks:
        say(f"\n{track.name:12} " + " ".join(f"{memory:6.1f}" for memory, _ in track.rows()) + "  MiB")
        say(f"{'':12} " + " ".join(f"{files:6.0f}" for _, files in track.rows()) + "  files")
    grown = [each for track in tracks for each in track.growth()]
    lost = play.faults()
    say(f"\n{play.account()}")
    say("\n".join(grown) or "Nothing has grown.")
    return bool(grown or lost)


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="A steady load for a while; memory and open files have to stay flat.")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--on", choices=["postgres", "sqlite"], default="postgres", help="the database")
    options = parser.parse_args(arguments)
    with host_project(options.on) as postgres:
        return int(perform(options.minutes, postgres))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
