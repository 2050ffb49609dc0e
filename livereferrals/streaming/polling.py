"""The long poll: what lies after a cursor, at once or when it comes (feed protocol, 12)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from livereferrals.events import log
from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming.entrance import in_time, watching
from livereferrals.streaming.frames import EVENTS_KEY, Encoder, LogKeys
from livereferrals.streaming.hub import get_hub
from livereferrals.streaming.resuming import Place

if TYPE_CHECKING:
    from livereferrals.streaming.admission import Admission
    from livereferrals.streaming.frames import Frame, Selection, Stream
    from livereferrals.streaming.hub import Hub

READ_LEAST: Final = 100
"""Events read in one query at least, for there may be few among them that are shown."""
READ_FOR_S: Final = 2.0
"""How long one request goes on through history that shows it nothing; then it tells how far it has come."""
TAIL_BYTES: Final = 300
"""Room for what an answer has beside the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The answer to one poll: a batch, and where the log begins and ends."""

    prev: Cursor
    cursor: Cursor
    events: str
    """The batch's events: JSON, as in all other frames."""
    more: bool
    bounds: log.Bounds
    gap: dict[str, Any] | None = None

    def text(self) -> str:
        """Return the JSON of the answer."""
        head = {"type": "events", "prev": str(self.prev), "cursor": str(self.cursor)}
        tail: dict[str, Any] = {
            "more": self.more,
            "oldest": str(self.bounds.oldest_cursor),
            "newest": str(self.bounds.newest_cursor),
        }
        if self.gap is not None:
            tail |= {"resume": "gap", "gap": self.gap}
        return f"{_open(head)}{EVENTS_KEY}{self.events}],{_open(tail).removeprefix('{')}}}"


def _open(fields: dict[str, Any]) -> str:
    """Return JSON of an object without its last brace."""
    return json.dumps(fields, separators=(",", ":")).removesuffix("}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lay after a place in the log."""

    frame: Frame | None
    upto: int
    bounds: log.Bounds


async def page(admission: Admission) -> Page:
    """Return what there is for a poll, which waits for it where it asked for that.

    Raises:
        FeedError: it cannot be given.
    """
    deadline = time.monotonic() + admission.wait_s
    if admission.start.resume == "live":
        return _page(admission, frame=None, upto=admission.bounds.head, bounds=admission.bounds)
    found = await in_time(_read, admission, after=admission.start.cursor.seq)
    if found.frame is None and found.upto >= found.bounds.head and admission.wait_s:
        found = await _wait(admission, found, deadline=deadline)
    return _page(admission, frame=found.frame, upto=found.upto, bounds=found.bounds)


def _page(admission: Admission, *, frame: Frame | None, upto: int, bounds: log.Bounds) -> Page:
    start = admission.start
    cursor = upto if frame is None else frame.cursor
    events = "" if frame is None else frame.text[frame.text.index(EVENTS_KEY) + len(EVENTS_KEY) : -2]
    gap = None if start.gap is None else {"reason": start.gap.reason, "from": start.gap.origin, "to": str(start.gap.to)}
    return Page(
        prev=start.cursor,
        cursor=Cursor(start.cursor.epoch, cursor),
        events=events,
        more=cursor < bounds.head,
        bounds=replace(bounds, head=max(bounds.head, cursor)),
        gap=gap,
    )


# --- from the log ---------------------------------------------------------------------------------------------------------


def _read(admission: Admission, *, after: int) -> Found:
    """Return the next batch after a place; two queries, more where many events are not shown."""
    until = time.monotonic() + READ_FOR_S
    found = _read_piece(admission, after=after)
    while found.frame is None and found.upto < found.bounds.head and time.monotonic() < until:
        found = _read_piece(admission, after=found.upto)
    return found


def _read_piece(admission: Admission, *, after: int) -> Found:
    """Return one piece of the log; its bounds are read after its events, so that no pruning goes unseen."""
    selection = _selection(admission)
    limit = max(READ_LEAST, admission.limit)
    epoch = admission.start.cursor.epoch
    head = log.bounds().head
    events = log.read(after, upto=head, limit=limit, topic=selection.topic)
    row = log.load_log()
    bounds = log.Bounds(epoch=row.epoch, head=row.head, oldest=row.oldest)
    if row.epoch != epoch:
        raise FeedError("resync", "The event log has changed; ask again with your cursor.")
    if row.oldest > after:
        raise Place(epoch=epoch, head=row.head, oldest=row.oldest).too_old()
    last = events[-1].seq if len(events) == limit else None
    upto = head if last is None else last
    encoder = Encoder(LogKeys(epoch=row.epoch, house_key=row.house_key))
    frame = next(encoder.frames(events, selection, prev=after, upto=upto), None)
    return Found(frame=frame, upto=upto, bounds=bounds)


def _selection(admission: Admission) -> Selection:
    selection = admission.selection
    return replace(selection, batch_events=admission.limit, message_bytes=selection.message_bytes - TAIL_BYTES)


# --- waiting --------------------------------------------------------------------------------------------------------------


class Waiter:
    """A poll that waits, as the hub sees it."""

    def __init__(self, admission: Admission, *, position: int) -> None:
        self.grant = admission.grant
        self.selection = admission.selection
        self.epoch = admission.bounds.epoch
        self.position = position
        self.woken = asyncio.Event()
        self.problem: FeedError | None = None
        self.is_over = False
        """Whether it answers with what it has."""

    def wake(self) -> None:
        """Have it look whether there is something to answer."""
        self.woken.set()

    def end(self, problem: FeedError) -> None:
        """Have it answer with an error; where the next request will be told better, with what it has."""
        if problem.code != "resync":
            self.problem = self.problem or problem
        self.is_over = True
        self.woken.set()

    def depart(self, *, retry_after_s: float) -> None:
        """Have it answer with what it has, because the process ends."""
        self.is_over = True
        self.woken.set()


async def _wait(admission: Admission, found: Found, *, deadline: float) -> Found:
    """Return what comes before the deadline, or how far the log has gone by then without anything for this reader."""
    hub, waiter = get_hub(), Waiter(admission, position=found.upto)
    async with watching(hub, waiter, admission) as stream:
        while True:
            waiter.woken.clear()
            found = await _look(admission, stream, found, hub=hub)
            remaining = deadline - time.monotonic()
            if found.frame is not None or waiter.is_over or remaining <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(remaining):
                    await waiter.woken.wait()
    if waiter.problem is not None:
        raise waiter.problem
    return found


async def _look(admission: Admission, stream: Stream, found: Found, *, hub: Hub) -> Found:
    """Return what the hub has for the reader, from its latest frames where these are all that is missing."""
    if not stream.reaches_back_to(found.upto):
        return await in_time(_read, admission, after=found.upto)
    frame = stream.after(found.upto)
    bounds = hub.bounds or found.bounds
    if frame is None:
        return replace(found, upto=max(found.upto, hub.position), bounds=bounds)
    if _is_answer(frame, admission, found, stream):
        return Found(frame=frame, upto=frame.cursor, bounds=bounds)
    return await in_time(_read, admission, after=found.upto)


def _is_answer(frame: Frame, admission: Admission, found: Found, stream: Stream) -> bool:
    """Whether this shared frame is just what the poll is to get."""
    fits = len(frame.text) <= admission.selection.message_bytes - TAIL_BYTES and frame.count <= admission.limit
    return fits and frame.first > found.upto and stream.after(frame.cursor) is None
