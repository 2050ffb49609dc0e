"""Counts what is durable: a fast figure is worth nothing where hits were answered and are not in the database."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.outcomes import Count
from benchmarks.servers import running

if TYPE_CHECKING:
    from benchmarks.contenders import Contender
    from benchmarks.load import Seen
    from benchmarks.outcomes import Conditions

CONNECTIONS = 64
DEADLINE_S = 60.0
ENDLESS = 10_000_000


def counts(one: Contender, conditions: Conditions, *, requests: int) -> list[Count]:
    """Count an exact number of hits (a tenth in a quick run), and those of a server that is killed under load."""
    requests = conditions.pick(full=requests, quick=requests // 10)
    # So many that some answers are out when the server dies.
    hits = max(requests // 5, 4 * CONNECTIONS)
    return [exact(one, requests=requests), *killed(one, times=conditions.pick(full=3, quick=1), hits=hits)]


def exact(one: Contender, *, requests: int) -> Count:
    """Send an exact number of requests: as many hits, and no other answer than redirects."""
    with running(one.server):
        before = one.hits()
        seen = load.send(one.url, connections=CONNECTIONS, requests=requests)
    if seen.requests != requests or seen.wrong or seen.failed:
        raise RuntimeError(f"{requests} requests were sent, and this was seen: {seen}")
    return Count(
        what=f"{_who(one)}: hits in the database, answers with 302", found=one.hits() - before, expected=seen.requests
    )


def killed(one: Contender, *, times: int, hits: int) -> list[Count]:
    """Kill the server under load, a few times, each after so many hits: every answer that was read has its hit."""
    return [_killed_once(one, hits=hits) for _ in range(times)]


def _killed_once(one: Contender, *, hits: int) -> Count:
    read: list[Seen] = []

    def put_load() -> None:
        read.append(load.send(one.url, connections=CONNECTIONS, requests=ENDLESS))

    with running(one.server):
        before = one.hits()
        client = threading.Thread(target=put_load)
        client.start()
        _wait_for(one, hits=before + hits)
        one.server.kill9()
        client.join()
    if not read or not read[0].requests or read[0].wrong:
        raise RuntimeError(f"Until the server was killed, this was seen: {read}")
    what = f"{_who(one)}: hits in the database after kill -9 under load, answers read"
    return Count(what=what, found=one.hits() - before, expected=read[0].requests, at_least=True)


def _wait_for(one: Contender, *, hits: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while one.hits() < hits:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The database does not hold {hits} hits within {DEADLINE_S} s.")
        time.sleep(0.05)


def _who(one: Contender) -> str:
    return f"{one.name}, {one.server.kind}, {'SQLite' if one.database_url.startswith('sqlite') else 'PostgreSQL'}"
