"""Batches of events as text that all watchers with the same selection share."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from livereferrals.events import wire
from livereferrals.events.cursors import Cursor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Iterator, Sequence

    from livereferrals.events.log import Topic
    from livereferrals.events.logged import Logged
    from livereferrals.events.models import Event

KEPT_FRAMES = 16
KEPT_BYTES = 524_288
"""What a stream keeps of its latest frames, so that a watcher that is a moment behind needs no query."""
EVENTS_KEY = ',"events":['
as_json = json.JSONEncoder(separators=(",", ":")).encode
"""Made once: `json.dumps` makes an encoder for each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What one reader gets to see. Readers with an equal selection share every frame."""

    topic: Topic
    types: frozenset[str]
    links: frozenset[uuid.UUID] | None = None
    """Ids of the links whose events are sent; `None`: all, and the events without a link."""
    amounts: bool = False
    """Whether amounts are sent; else they are null."""
    batch_events: int = 500
    """Most events in one frame."""
    message_bytes: int = 262_144
    """Most bytes in one frame of more than one event."""

    @property
    def is_house(self) -> bool:
        """Whether it reads more than one partner, so that users go under the house's own hashes."""
        return self.topic.partner is None

    def shows(self, event: Event | Logged) -> bool:
        """Whether the event is sent."""
        return (
            event.type in self.types and self.topic.covers(event) and (self.links is None or event.link in self.links)
        )


@lru_cache(maxsize=1024)
def shared_selection(selection: Selection) -> Selection:
    """Return the one of all equal selections that watchers are to keep."""
    return selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One `events` message: all that the selection shows after `prev`, up to and including `cursor`."""

    prev: int
    first: int
    """Number of its first event."""
    cursor: int
    end: Cursor
    """The same in full."""
    count: int
    text: str
    """ASCII, so that its length is its size in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKeys:
    """What an encoder must know of the log."""

    epoch: str
    house_key: str


class Encoder:
    """Turns events into JSON text, each once for each way of showing it. Lives for one read of the log."""

    def __init__(self, keys: LogKeys) -> None:
        self._keys = keys
        self._texts: dict[tuple[int, bool, bool], str] = {}

    def text(self, event: Event | Logged, selection: Selection) -> str:
        """Return the event's JSON as this selection shows it."""
        key = (_seq(event), selection.is_house, selection.amounts)
        found = self._texts.get(key)
        if found is None:
            shown = wire.event_object(event, epoch=self._keys.epoch)
            shown["data"] = self._data(event, selection)
            # ASCII: the length is the size, and a lone surrogate from a careless writer cannot break a UTF-8 frame.
            found = self._texts[key] = as_json(shown)
        return found

    def _data(self, event: Event | Logged, selection: Selection) -> dict[str, Any]:
        data: dict[str, Any] = dict(event.data)
        if not selection.amounts and "amount" in data:
            data["amount"] = None
        if selection.is_house and "user" in data:
            data["user"] = wire.user_hash(event.user, key=self._keys.house_key) if event.user else None
        return data

    def frames(
        self, events: Sequence[Event | Logged], selection: Selection, *, prev: int, upto: int
    ) -> Iterator[Frame]:
        """Cut what the selection shows of `events` into frames; the last one's cursor is `upto`.

        Nothing comes out where nothing is shown.
        """
        shown = [event for event in events if selection.shows(event)]
        batches = list(self._batches(shown, selection))
        for place, batch in enumerate(batches, start=1):
            cursor = upto if place == len(batches) else batch.last
            yield Frame(
                prev=prev,
                first=batch.first,
                cursor=cursor,
                end=Cursor(self._keys.epoch, cursor),
                count=len(batch.texts),
                text=self._join(batch.texts, prev=prev, cursor=cursor),
            )
            prev = cursor

    def _batches(self, events: Iterable[Event | Logged], selection: Selection) -> Iterator[_Batch]:
        batch = _Batch()
        room = selection.message_bytes - 200  # what is around the events
        for event in events:
            text = self.text(event, selection)
            full = len(batch.texts) >= selection.batch_events or batch.size + len(text) > room
            if full and batch.texts:
                yield batch
                batch = _Batch()
            batch.add(_seq(event), text)
        if batch.texts:
            yield batch

    def _join(self, texts: Iterable[str], *, prev: int, cursor: int) -> str:
        epoch = self._keys.epoch
        head = f'{{"type":"events","prev":"{Cursor(epoch, prev)}","cursor":"{Cursor(epoch, cursor)}"'
        return f"{head}{EVENTS_KEY}{','.join(texts)}]}}"


@dataclass(slots=True)
class _Batch:
    """Events on their way into one frame."""

    texts: list[str] = field(default_factory=list)
    size: int = 0
    first: int = 0
    last: int = 0

    def add(self, seq: int, text: str) -> None:
        """Take one more event."""
        self.first = self.first or seq
        self.last = seq
        self.texts.append(text)
        self.size += len(text) + 1


class Stream:
    """The latest frames of one selection, made once by the hub and read by all its watchers."""

    def __init__(self, selection: Selection, *, position: int) -> None:
        self.selection = selection
        self._floor = position
        self._frames: deque[Frame] = deque()
        self._bytes = 0

    def take(self, events: Sequence[Event | Logged], encoder: Encoder, *, upto: int) -> bool:
        """Add what is shown of newly read events; return whether that was anything."""
        added = False
        for frame in encoder.frames(events, self.selection, prev=self.newest, upto=upto):
            self._frames.append(frame)
            self._bytes += len(frame.text)
            added = True
        while len(self._frames) > KEPT_FRAMES or (self._bytes > KEPT_BYTES and len(self._frames) > 1):
            gone = self._frames.popleft()
            self._bytes -= len(gone.text)
            self._floor = gone.cursor
        return added

    @property
    def newest(self) -> int:
        """The number of the newest event that it has shown, or where it began."""
        return self._frames[-1].cursor if self._frames else self._floor

    @property
    def newest_frame(self) -> Frame | None:
        """The frame that was made last, if it is still here."""
        return self._frames[-1] if self._frames else None

    def forget(self) -> None:
        """Drop the frames; who still needs them reads the log."""
        if self._frames:
            self._floor = self._frames[-1].cursor
        self._frames.clear()
        self._bytes = 0

    def reaches_back_to(self, position: int) -> bool:
        """Whether everything after `position` is still here."""
        return position >= self._floor

    def after(self, position: int) -> Frame | None:
        """Return the next frame for a reader that has everything up to `position`, or nothing if it is up to date."""
        frames = self._frames
        if not frames or frames[-1].cursor <= position:
            return None
        if frames[-1].prev <= position:  # most are so far
            return frames[-1]
        return next(frame for frame in frames if frame.cursor > position)

    def settled(self, position: int, *, upto: int) -> int:
        """Return up to where a reader at `position` has everything, the hub being at `upto`.

        The hub's place alone would be too far: it moves before each watcher has been woken.
        """
        has_all = self.reaches_back_to(position) and self.after(position) is None
        return max(position, upto) if has_all else position


def _seq(event: Event | Logged) -> int:
    assert event.seq is not None  # noqa: S101 - for the type checker; read() gives numbered events only
    return event.seq
