"""A server with a crowd of watchers, and what can be done to it: a burst, a trickle, nothing at all."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.clients.http import BROWSER
from benchmarks.clients.watchers import Crowd
from benchmarks.contenders import HOST_PROJECT, prepared
from benchmarks.host import IDENTIFIER
from benchmarks.servers import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType
    from typing import Any, TypeVar

    from benchmarks.outcomes import Conditions

    T = TypeVar("T")

OURS, NAIVE, RAW = "livereferrals", "naive Channels", "raw send"
APPLICATIONS = {
    OURS: "benchmarks.bursting:application",
    NAIVE: "benchmarks.baselines.naive_channels:application",
    RAW: "benchmarks.baselines.raw_send:application",
}
EVENT_BYTES = 493
"""Of a hit's event in a frame; the baselines send texts as long."""
PATH = "/referrals/feed/v1/ws?cursor=newest"
UNLIMITED = 1_000_000
LIMITS = dict.fromkeys(("connections_token", "connections_partner", "connects_minute", "connects_burst"), UNLIMITED)
RATE_BYTES_S, RATE_BURST_BYTES = 65_536, 262_144
"""What the feed's default lets a reader have that does not acknowledge (feed protocol, 7)."""
CALM_S = 0.5
"""Between two bursts."""
TRICKLE_PAUSE_S = 0.2
OPEN_FILES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What one burst gave."""

    rate: float
    """Events times watchers, a second."""
    seconds: float
    client_share: float
    """Part of a core that the client took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """From the start of each hit's request to each arrival, in milliseconds."""

    p50: float
    p99: float


class Scene:
    """The event loop of all the clients of one measurement; the crowds stay connected from round to round."""

    def __init__(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))
        import uvloop  # of the benchmarks' own environment

        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()

    def run(self, act: Coroutine[Any, Any, T]) -> T:
        """Run this, and meanwhile the connections of everybody."""
        return self._runner.run(act)


class Audience:
    """One contender's server and its watchers."""

    def __init__(self, scene: Scene, server: Server, *, name: str, partner: str, token: str) -> None:
        self.server = server
        self.name = name
        self.expected = 0
        """Events that each watcher should have had."""
        self._scene = scene
        self._partner = partner
        self._token = token
        self._rested_at = 0.0
        self.crowd: Crowd

    def gather(self, count: int) -> None:
        """Have so many watch, instead of those who did."""
        self.crowd = Crowd(port=self.server.port, path=PATH, token=self._token)
        self.expected = 0
        self._scene.run(self.crowd.join(count))

    def leave(self) -> None:
        """Have nobody watch."""
        self.crowd.leave()
        self.rest(0.1)

    def rest(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._scene.run(asyncio.sleep(seconds))

    def burst(self, events: int) -> Burst:
        """Send a burst to everybody, when the pace of before allows it again."""
        self.rest(max(0.0, self._rested_at - time.monotonic()))
        found = self._scene.run(self._burst(events))
        # The baselines limit nobody's rate.
        owed_s = events * EVENT_BYTES / RATE_BYTES_S if self.name == OURS else 0.0
        self._rested_at = time.monotonic() + owed_s + CALM_S
        return found

    def trickle(self, hits: int) -> Delays:
        """Send single events at a pace, on our side by following the link."""
        self.rest(max(0.0, self._rested_at - time.monotonic()))
        return self._scene.run(self._trickle(hits))

    def received(self) -> int:
        """Return how many events arrived at all watchers together."""
        return sum(watcher.events for watcher in self.crowd.watchers)

    def resident_kib(self) -> int:
        """Return the memory that the server has for itself alone (Linux)."""
        rollup = Path(f"/proc/{self.server.pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))

    async def _burst(self, events: int) -> Burst:
        watchers = len(self.crowd.watchers)
        self.crowd.expect(events)
        self.expected += events
        spent = time.process_time()
        answer = await self._get(f"/burst?events={events}&size={EVENT_BYTES}&partner={self._partner}", status=b"200")
        began = _time(answer)
        seconds = await self.crowd.complete() - began
        return Burst(
            rate=events * watchers / seconds, seconds=seconds, client_share=(time.process_time() - spent) / seconds
        )

    async def _trickle(self, hits: int) -> Delays:
        path, status = f"/burst?events=1&size={EVENT_BYTES}", b"200"
        if self.name == OURS:
            path, status = f"/ref/{IDENTIFIER}", b"302"
        delays: list[float] = []
        self.crowd.keeps_arrivals = True
        for _ in range(hits):
            self.crowd.arrivals.clear()
            self.crowd.expect(1)
            self.expected += 1
            began = time.monotonic()
            await self._get(path, status=status)
            await self.crowd.complete()
            delays += [1000 * (at - began) for at in self.crowd.arrivals]
            await asyncio.sleep(max(0.0, began + TRICKLE_PAUSE_S - time.monotonic()))
        self.crowd.keeps_arrivals = False
        delays.sort()
        return Delays(p50=delays[len(delays) // 2], p99=delays[len(delays) * 99 // 100])

    async def _get(self, path: str, *, status: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.server.port)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: {BROWSER}\r\nConnection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        if answer.split(b" ", 2)[1:2] != [status]:
            raise RuntimeError(f"{self.name} answered {path}: {answer[:300]!r}")
        return answer


def _time(answer: bytes) -> float:
    found = re.search(rb"\d+\.\d+", answer.partition(b"\r\n\r\n")[2])
    if found is None:
        raise RuntimeError(f"The burst did not tell when it began: {answer[:300]!r}")
    return float(found[0])


def audiences(conditions: Conditions, scene: Scene, kind: str, names: list[str]) -> dict[str, Audience]:
    """Return the contenders on one kind of server, each ready to be started."""
    found: dict[str, Audience] = {}
    for name in names:
        environment: dict[str, str] = {}
        partner, token = "", "-"
        if name == OURS:
            environment = {
                "BENCH_DATABASE_URL": prepared(conditions, HOST_PROJECT, "postgres"),
                "BENCH_LIVEREFERRALS": json.dumps({"FEED_LIMITS": LIMITS}),
            }
            command = [sys.executable, "-m", "benchmarks.bursting"]
            told = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | environment)  # noqa: S603 - our own command
            partner, token = told.stdout.split()[-2:]
        log = conditions.scratch / f"{kind}-{len(found)}.log"
        server = Server(kind, APPLICATIONS[name], log=log, environment=environment)
        found[name] = Audience(scene, server, name=name, partner=partner, token=token)
    return found
