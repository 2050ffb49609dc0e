"""What a crowd of watchers costs one process: memory of an idle one, and a burst of hits to all of them.

Run it with `python -m benchmarks.watchers [--server daphne] [--watchers 2000] [--hits 500]`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.ground import UNLIMITED, prepared, resident_kib
from benchmarks.sockets import RawSocket

if TYPE_CHECKING:
    from tests.servers import HostServer

PATH = "/referrals/feed/v1/ws?cursor=newest"
WARM = 50
"""Connections made and left before the memory is measured: code and caches are not a watcher's."""
AT_ONCE = 40
SETTLE_S = 3.0
GIVE_UP_S = 120.0
CURSOR = re.compile(rb'^\{"type":"events","prev":"[^"]*","cursor":"[^".]*\.(\d+)"')
EVENT = b'{"v":1,'
LIMITS = {
    "connections_token": UNLIMITED,
    "connections_partner": UNLIMITED,
    "connects_minute": UNLIMITED,
    "connects_burst": UNLIMITED,
}


@dataclass
class Tally:
    """What one watcher got."""

    events: int = 0
    done_at: float = 0.0


@dataclass
class Crowd:
    """The watchers of one run."""

    server: HostServer
    token: str
    hits: int
    tallies: list[Tally] = field(default_factory=list)
    sockets: list[RawSocket] = field(default_factory=list)
    finished: int = 0
    all_finished: asyncio.Event = field(default_factory=asyncio.Event)

    async def join(self, count: int) -> None:
        """Connect so many more, each greeted."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def connect() -> None:
            async with gate:
                await self._connect()

        await asyncio.gather(*(connect() for _ in range(count)))

    async def _connect(self) -> None:
        tally = Tally()

        def take(text: bytes) -> None:
            if CURSOR.match(text):
                tally.events += text.count(EVENT)
                if tally.events >= self.hits and not tally.done_at:
                    tally.done_at = time.monotonic()
                    self.finished += 1
                    if self.finished == len(self.tallies):
                        self.all_finished.set()

        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            lambda: RawSocket(path=PATH, token=self.token, on_text=take), "127.0.0.1", self.server.port
        )
        await made.opened
        self.tallies.append(tally)
        self.sockets.append(made)

    def leave(self) -> None:
        """Close all."""
        for one in self.sockets:
            one.close()
        self.sockets.clear()
        self.tallies.clear()


def write_hits(partner: str, hits: int) -> float:
    """Commit the hits one by one, as requests would, and return when the last was committed."""
    from livereferrals.events import log
    from tests.factories import make_entry

    for _ in range(hits):
        log.append_all([make_entry(partner=partner)])
    return time.monotonic()


async def measure(server: HostServer, *, partner: str, token: str, watchers: int, hits: int) -> dict[str, Any]:
    """Return the figures of one run."""
    assert server.process is not None  # noqa: S101 - it was started
    crowd = Crowd(server, token, hits)
    await crowd.join(WARM)
    crowd.leave()
    await asyncio.sleep(SETTLE_S)
    empty = resident_kib(server.process.pid)
    began = time.monotonic()
    await crowd.join(watchers)
    connected_s = time.monotonic() - began
    await asyncio.sleep(SETTLE_S)
    full = resident_kib(server.process.pid)
    began = time.monotonic()
    committed_at = await asyncio.to_thread(write_hits, partner, hits)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GIVE_UP_S):
            await crowd.all_finished.wait()
    ends = sorted(tally.done_at for tally in crowd.tallies if tally.done_at)
    after = resident_kib(server.process.pid)
    return {
        "watchers": watchers,
        "connecting, s": round(connected_s, 1),
        "KiB an idle watcher": round((full - empty) / watchers, 1),
        "KiB a watcher after the burst": round((after - empty) / watchers, 1),
        "hits": hits,
        "writing them, s": round(committed_at - began, 2),
        "watchers with all hits": len(ends),
        "last commit to last watcher, s": round(ends[-1] - committed_at, 2) if ends else None,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["daphne", "uvicorn"], default="daphne")
    parser.add_argument("--watchers", type=int, default=2000)
    parser.add_argument("--hits", type=int, default=500)
    asked = parser.parse_args()
    with prepared():
        from livereferrals.streaming import tokens
        from tests.factories import make_partner
        from tests.servers import host_server

        partner = make_partner()
        _, token = tokens.issue(name="benchmark", partner=partner)
        options = {"FEED_LIMITS": LIMITS, "FEED_POLL_INTERVAL": 0.25, "CALLBACKS": {"WORKER": "off"}}
        with host_server(asked.server, LIVEREFERRALS=options) as server:
            figures = asyncio.run(
                measure(server, partner=partner.uid, token=token, watchers=asked.watchers, hits=asked.hits)
            )
    for name, value in {"server": asked.server, **figures}.items():
        sys.stdout.write(f"{name:>32}  {value}\n")


if __name__ == "__main__":
    main()
