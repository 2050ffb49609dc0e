"""How the hub and its watchers reach the database: in threads of their own, never on the event loop.

Django's shared "thread-sensitive" thread belongs to the host's sync code; a long read of history there would hold its
requests up. So the hub has one thread, and history and tokens have a small pool.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from channels.db import database_sync_to_async

from livereferrals.events import log, sequencer
from livereferrals.streaming.frames import Encoder, LogKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.events.models import Event
    from livereferrals.streaming.frames import Frame, Selection

P = ParamSpec("P")
T = TypeVar("T")

READ_EVENTS = 500
"""Events read in one query: what fits the largest batch."""
READ_EVENTS_LEAST = 100
"""Events read for a reader of small batches, which is not to hold more than it can use."""
POOL_THREADS = 4

_hub_thread = ThreadPoolExecutor(1, thread_name_prefix="livereferrals-hub")
_pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="livereferrals-feed")


async def in_hub_thread(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `act` in the hub's thread, where nothing else can hold it up."""
    return await database_sync_to_async(act, thread_sensitive=False, executor=_hub_thread)(*args, **kwargs)


async def in_pool(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `act` in the pool that serves single watchers."""
    return await database_sync_to_async(act, thread_sensitive=False, executor=_pool)(*args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the log found."""

    bounds: log.Bounds
    keys: LogKeys
    events: list[Event]
    """The events after the asked position, in order."""
    upto: int
    """Everything up to here has been read."""
    numbered: int
    """How many events this look had to number itself."""


def look(after: int | None, *, number: bool) -> Look:
    """Return where the log stands and what lies after `after`; two queries, one more to `number` what nobody has.

    Without `after` no events are read.
    """
    numbered = sequencer.number_events() if number else 0
    row = log.load_log()
    bounds = log.Bounds(epoch=row.epoch, head=row.head, oldest=row.oldest)
    events: list[Event] = []
    if after is not None and after < row.head:
        events = log.read(after, upto=row.head, limit=READ_EVENTS)
    last = events[-1].seq if len(events) == READ_EVENTS else None
    return Look(
        bounds=bounds,
        keys=LogKeys(epoch=row.epoch, house_key=row.house_key),
        events=events,
        upto=row.head if last is None else last,
        numbered=numbered,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A piece of one selection's past."""

    frames: list[Frame]
    upto: int
    """Everything up to here is in the frames, or was not for this reader."""
    bounds: log.Bounds


def history(selection: Selection, *, after: int, upto: int, prev: int) -> History:
    """Return the next piece of a selection's events with `after < seq <= upto`; its chain goes on from `prev`.

    Two queries. The bounds are read *after* the events: retention that passes by in between is seen, never jumped over.
    """
    limit = min(READ_EVENTS, max(READ_EVENTS_LEAST, 4 * selection.batch_events))
    events = log.read(after, upto=upto, limit=limit, topic=selection.topic)
    row = log.load_log()
    last = events[-1].seq if len(events) == limit else None
    end = upto if last is None else last
    encoder = Encoder(LogKeys(epoch=row.epoch, house_key=row.house_key))
    return History(
        frames=list(encoder.frames(events, selection, prev=prev, upto=end)),
        upto=end,
        bounds=log.Bounds(epoch=row.epoch, head=row.head, oldest=row.oldest),
    )
