"""What each server process says of itself, and what the others have said: hub's place, watchers, open connections.

A process that serves the feed writes its row soon after a connection has come or gone. One that says besides that it
lives (`say_alive`, by its housekeeping) has a row as long as that goes on; any other takes its row away with the last
connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import django.db
from django.db import router

from livereferrals.callbacks import clock
from livereferrals.callbacks.processes import is_gone, this_process
from livereferrals.events import log
from livereferrals.events.models import ProcessStatus
from livereferrals.streaming import reading
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.places import Elsewhere, places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from livereferrals.streaming.hub import Hub
    from livereferrals.streaming.tokens import Grant

logger = logging.getLogger(__name__)

WRITE_AT_MOST_S: Final = 2.0
"""Pause between two writings of a process whose connections come and go."""
WRITE_AT_LEAST_S: Final = 15.0
"""How often a process says that it is still there."""
SILENT_FOR: Final = timedelta(seconds=45)
"""A process that has said nothing for so long is dead: its places are free within 60 s."""
DEAD_FOR: Final = timedelta(days=1)
"""How long the row of a process that was killed stays, for people to see."""
LOOK_EVERY_S: Final = 3.0
"""How old what is known of other processes may be. With the pause above this stays below the promised 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a process says of itself beside its feed connections."""

    kind: str
    """`server` or `worker`."""
    interface: str = ""
    """How a server serves: `asgi`, or `wsgi`, which is never live."""
    worker: bool
    """Whether it makes deliveries, and does so well."""
    hub_seq: int | None = None
    screens: int = 0
    """Open live sockets of the dashboard."""
    chores: Mapping[str, str] = field(default_factory=dict)
    """When it last did each piece of housekeeping."""
    lost_hits: Mapping[str, int] = field(default_factory=dict)
    """Hits that it has not recorded since it started, by reason."""


_resident = threading.Event()
"""Set while this process says that it lives, whether anybody is connected or not."""


def write(*, hub_seq: int | None, watchers: int, behind: Mapping[str, int] | None = None) -> None:
    """Say who is connected. One update; the first time an insert, which forgets the long dead."""
    _put(
        {
            "hub_seq": hub_seq,
            "watchers": watchers,
            "connections": places.by_token(),
            "behind": {token: lag for token, lag in (behind or {}).items() if lag > 0},
        },
        once={"kind": "server", "interface": "asgi"},
    )


def clear() -> None:
    """Say that no connection is open any more. One or two queries."""
    own = _rows().filter(pk=this_process())
    if _resident.is_set():
        own.update(watchers=0, connections={}, behind={})
        return
    # A worker in this process has more to say in the same row.
    own.filter(worker=True).update(hub_seq=None, watchers=0, connections={}, behind={})
    own.filter(worker=False).delete()


def say_alive(life: Life) -> None:
    """Say that this process lives; to be repeated every `WRITE_AT_LEAST_S`, and ended by `part`. One update."""
    _resident.set()
    connections = places.by_token()
    _put(
        {
            "kind": life.kind,
            "interface": life.interface,
            "worker": life.worker,
            "hub_seq": life.hub_seq,
            "screens": life.screens,
            "housekeeping": dict(life.chores),
            "lost_hits": dict(life.lost_hits),
            "watchers": sum(connections.values()),
            "connections": connections,
        },
        once={},
    )


def part() -> None:
    """Take this process's row away: it ends. One query."""
    _resident.clear()
    _rows().filter(pk=this_process()).delete()


def _put(said: dict[str, Any], *, once: dict[str, Any]) -> None:
    """Write the process's row; `once` goes into a new one only.

    How far behind its hub is, is told by the process: whoever reads this seconds later sees a newer log.
    """
    now = clock.now(router.db_for_write(ProcessStatus))
    lag = 0 if said["hub_seq"] is None else max(0, log.bounds().head - said["hub_seq"])
    said = said | {"seen_at": now, "hub_lag": lag}
    _, is_new = _rows().update_or_create(
        pk=this_process(), defaults=said, create_defaults=said | once | {"started_at": now}
    )
    if is_new:
        _rows().filter(seen_at__lt=now - DEAD_FOR).delete()


def _rows() -> QuerySet[ProcessStatus]:
    return ProcessStatus.objects.using(router.db_for_write(ProcessStatus))


def elsewhere(grant: Grant) -> Elsewhere:
    """Return what other processes have open for a token and its partner, as they said some seconds ago.

    No query, or one after `LOOK_EVERY_S`; one more where a partner's connections are to be counted.
    """
    found = _others.connections()
    if not found:
        return Elsewhere()
    partner = 0
    if grant.partner is not None:
        tokens = FeedToken.objects.using(router.db_for_write(FeedToken))
        own = tokens.filter(pk__in=found, partner__uid=grant.partner).values_list("pk", flat=True)
        partner = sum(found[token] for token in own)
    return Elsewhere(token=found.get(grant.token, 0), partner=partner)


class _Others:
    """The open connections of all other processes, read again when they are old."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        self._read_at = float("-inf")

    def connections(self) -> dict[str, int]:
        with self._lock:
            if time.monotonic() - self._read_at < LOOK_EVERY_S:
                return self._known
            self._known = _read_others()
            self._read_at = time.monotonic()
            return self._known


_others = _Others()


def _read_others() -> dict[str, int]:
    alias = router.db_for_write(ProcessStatus)
    since = clock.now(alias) - SILENT_FOR
    rows = ProcessStatus.objects.using(alias).filter(seen_at__gt=since).exclude(pk=this_process())
    total: Counter[str] = Counter()
    for process, connections in rows.exclude(connections={}).values_list("pk", "connections"):
        if not is_gone(process):
            total.update({str(token): int(count) for token, count in connections.items()})
    return dict(total)


# --- the writer -----------------------------------------------------------------------------------------------------------

_writers: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()


def report(hub: Hub) -> None:
    """Have this process write its row for as long as it has connections. On the hub's own loop only."""
    loop = asyncio.get_running_loop()
    writer = _writers.get(loop)
    if writer is None or writer.done():
        _writers[loop] = loop.create_task(_report(hub))


async def _report(hub: Hub) -> None:
    """Write soon after each change, and end with the last connection."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def note() -> None:
        # A loop that was closed under a connection has nothing more to say.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(changed.set)

    places.listen(note)
    has_written = False
    try:
        while True:
            await asyncio.sleep(WRITE_AT_MOST_S)
            changed.clear()
            has_written = await _say(hub, has_written=has_written)
            if not has_written and not places.by_token():
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_AT_LEAST_S - WRITE_AT_MOST_S):
                    await changed.wait()
    finally:
        places.unlisten(note)


async def _say(hub: Hub, *, has_written: bool) -> bool:
    """Write the row, or take it away where that is due; return whether there is one now."""
    try:
        if places.by_token():
            place = hub.position if hub.running else None
            await reading.in_pool(write, hub_seq=place, watchers=len(hub.watchers()), behind=hub.behind())
            return True
        if has_written:
            await reading.in_pool(clear)
    except django.db.Error:
        # The limits are approximate meanwhile, and a row that is not taken away goes stale by itself.
        logger.warning(
            "The state of this process could not be written.", exc_info=True, extra={"action": "status.away"}
        )
    return False
