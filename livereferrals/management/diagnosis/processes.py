"""What runs: numbering, hubs, totals and workers, by what each process says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.timesince import timesince

from livereferrals.dashboard import system
from livereferrals.dashboard.status import LOST, PROBLEMS
from livereferrals.management.diagnosis.findings import Finding, counted, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERS: Final = "Servers"
EVENTS: Final = "Events"
HUBS: Final = "Hubs"
TOTALS: Final = "Totals"
WORKER: Final = "Worker"
HITS: Final = "Hits"
LEAD: Final = "lead the dashboard and the feed to the former."
LAG: Final = 1_000
"""Events that a hub may be behind before it is worth a word."""


def running() -> Iterator[Finding]:
    """Look once at what the processes have written, and judge each part of it."""
    found = system.look()
    yield from _servers(found)
    yield from _events(found)
    yield from _hubs(found)
    yield from _totals(found)
    yield from _worker(found)
    yield from _lost(found)


def _servers(found: system.System) -> Iterator[Finding]:
    """Say how the servers serve: what was asked in this process says nothing of them."""
    if found.works_at == "off":
        return
    servers = [process for process in found.living if process.kind == "server"]
    under_wsgi = [process for process in servers if process.interface == "wsgi"]
    live = len(servers) - len(under_wsgi)
    if live and under_wsgi:
        yield ok(SERVERS, f"{live} under ASGI, {len(under_wsgi)} under WSGI, where nothing is live: {LEAD}")
    elif live:
        yield ok(SERVERS, f"{live} under ASGI.")
    elif not servers:
        yield warning(
            SERVERS,
            "None says that it runs; one under WSGI does so at its first request.",
            advice="Start an ASGI server, or open a page and ask again.",
        )
    for process in under_wsgi if not live else ():
        yield warning(
            SERVERS,
            f"A server ({_shortly(process.name)}) runs under WSGI: nothing is live.",
            advice='Put "daphne" first in INSTALLED_APPS for runserver, or start an ASGI server.',
        )


def _shortly(name: str) -> str:
    """Return machine and number of a process."""
    host, pid, _ = [*name.rsplit(":", 2), "", ""][:3]
    return f"{host.partition('/')[0]} {pid}".strip()


def _events(found: system.System) -> Iterator[Finding]:
    if "unnumbered" in found.problems and found.unnumbered_since is not None:
        since = timesince(found.unnumbered_since, found.time)
        yield error(
            EVENTS,
            f"{counted(found.unnumbered, 'waits', 'wait')} for a number, the oldest for {since}: nobody sees them.",
            advice="Start a server or a worker: both number what was left.",
        )
    else:
        yield ok(
            EVENTS,
            f"{counted(found.head, 'is', 'are')} numbered, {counted(found.unnumbered, 'waits', 'wait')} for a number.",
        )


def _totals(found: system.System) -> Iterator[Finding]:
    if "rollups" in found.problems:
        yield warning(
            TOTALS,
            f"They are {counted(found.head - found.rolled_up, 'event', 'events')} behind the log.",
            advice="Start a worker: it keeps house.",
        )
    else:
        yield ok(TOTALS, f"They are {counted(found.head - found.rolled_up, 'event', 'events')} behind the log.")


def _hubs(found: system.System) -> Iterator[Finding]:
    hubs = [process for process in found.living if process.hub_seq is not None]
    if found.lag > LAG:
        slowest = max(hubs, key=lambda process: process.hub_lag)
        yield warning(
            HUBS,
            f"{slowest.name} was {counted(found.lag, 'event', 'events')} behind the log.",
            advice="Is that process, or its database, overloaded? See docs/operations.md.",
        )
    else:
        watchers = sum(process.watchers for process in found.living)
        yield ok(
            HUBS,
            f"{counted(len(hubs), 'reads', 'read')} the log, for {counted(watchers, 'feed client', 'feed clients')}; "
            f"the slowest is {counted(found.lag, 'event', 'events')} behind.",
        )


def _worker(found: system.System) -> Iterator[Finding]:
    if found.works_at == "off":
        yield warning(
            WORKER,
            'CALLBACKS["WORKER"] is "off": nobody makes deliveries, keeps house, or says that it lives.',
            advice='"embedded", or "external" and manage.py livereferrals worker.',
        )
    elif "no-worker" in found.problems:
        last = "never" if found.heartbeat is None else f"{timesince(found.heartbeat, found.time)} ago"
        yield error(
            WORKER, f"{PROBLEMS['no-worker']} One was last seen: {last}.", advice="manage.py livereferrals worker"
        )
    else:
        count = sum(process.worker for process in found.living)
        yield ok(WORKER, f"{counted(count, 'makes', 'make')} deliveries.")


def _lost(found: system.System) -> Iterator[Finding]:
    if total := found.lost_hits.total():
        reasons = ", ".join(f"{number} because {LOST.get(why, why)}" for why, number in sorted(found.lost_hits.items()))
        yield warning(
            HITS,
            f"{counted(total, 'was', 'were')} lost since the servers of now were started: {reasons}.",
            advice="The servers' logs name the links. Is the database fast enough for the hits? See docs/scaling.md.",
        )
    else:
        yield ok(HITS, "None was lost since the servers of now were started.")
