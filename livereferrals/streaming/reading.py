"""How the hub and its watchers reach the database: in threads of their own, never on the event loop.

Django's shared "thread-sensitive" thread belongs to the host's sync code; a long read of history there would hold its
requests up. So the hub has one thread, and history and tokens have a small pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from livereferrals.events import log, sequencer
from livereferrals.events.fresh import fresh
from livereferrals.exceptions import FeedError
from livereferrals.streaming.frames import Encoder, LogKeys
from livereferrals.streaming.resuming import Place
from livereferrals.streaming.threads import DatabaseThreads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livereferrals.events.logged import Logged
    from livereferrals.events.models import Event
    from livereferrals.streaming.frames import Frame, Selection

READ_EVENTS = 500
"""Events read in one query: what fits the largest batch."""
READ_EVENTS_LEAST = 100
"""Events read for a reader of small batches, which is not to hold more than it can use."""
PIECE_BYTES = 524_288
"""Most bytes of history that are held for one reader, unless one frame alone is larger."""
POOL_THREADS = 4

in_hub_thread = DatabaseThreads("livereferrals-hub", count=1).run
"""Run something in the hub's thread, where nothing else can hold it up."""
in_pool = DatabaseThreads("livereferrals-feed", count=POOL_THREADS).run
"""Run something in the pool that serves single watchers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the log found."""

    bounds: log.Bounds
    keys: LogKeys
    events: Sequence[Event | Logged]
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
    bounds = log.Bounds.of(row)
    events: list[Event] = []
    if after is not None and after < row.head:
        events = log.read(after, upto=row.head, limit=READ_EVENTS)
        if len(events) < min(row.head - after, READ_EVENTS):
            bounds = log.bounds()  # numbers have no gaps: the log was pruned meanwhile, and says so now
    last = events[-1].seq if len(events) == READ_EVENTS else None
    return Look(
        bounds=bounds,
        keys=LogKeys(epoch=row.epoch, house_key=row.house_key),
        events=events,
        upto=row.head if last is None else last,
        numbered=numbered,
    )


def look_at_fresh(bounds: log.Bounds, *, after: int) -> Look | None:
    """Return what lies after `after` where this process has just numbered it itself; no query."""
    batches = fresh.after(bounds, position=after)
    if not batches:
        return None
    last = batches[-1]
    return Look(
        bounds=log.Bounds(epoch=last.epoch, head=last.head, oldest=last.oldest, revision=last.revision),
        keys=LogKeys(epoch=last.epoch, house_key=last.house_key),
        events=[event for batch in batches for event in batch.events],
        upto=last.head,
        numbered=0,
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
    frames: list[Frame] = []
    size = 0
    for frame in encoder.frames(events, selection, prev=prev, upto=end):
        if size + len(frame.text) > PIECE_BYTES and frames:
            end = frames[-1].cursor
            break
        frames.append(frame)
        size += len(frame.text)
    return History(
        frames=frames,
        upto=end,
        bounds=log.Bounds.of(row),
    )


async def next_piece(selection: Selection, *, epoch: str, after: int, upto: int, prev: int) -> History:
    """Return the next piece of what a reader has not got, read in the pool.

    Raises:
        FeedError: `resync`, the log was renumbered; `cursor_too_old`, retention has passed the reader by.
    """
    found = await in_pool(history, selection, after=after, upto=upto, prev=prev)
    if found.bounds.epoch != epoch:
        raise FeedError("resync", "The event log has changed; connect again with your cursor.")
    if found.bounds.oldest > after:
        raise Place(epoch=epoch, head=found.bounds.head, oldest=found.bounds.oldest).too_old()
    return found
