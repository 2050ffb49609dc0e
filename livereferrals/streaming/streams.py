"""The streams of a hub: one for each selection that somebody watches, and who watches it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from livereferrals.streaming.frames import Encoder, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livereferrals.events.logged import Logged
    from livereferrals.events.models import Event
    from livereferrals.exceptions import FeedError
    from livereferrals.streaming.frames import LogKeys, Selection
    from livereferrals.streaming.tokens import Grant


class Watching(Protocol):
    """What the hub knows of whoever watches: a connection that stays, or a poll that waits."""

    @property
    def grant(self) -> Grant:
        """What the token allows that it lives on."""

    @property
    def selection(self) -> Selection:
        """What it sees."""

    @property
    def epoch(self) -> str:
        """The epoch that its cursors are of."""

    @property
    def position(self) -> int:
        """Everything up to here has been sent, or is not for its reader."""

    def wake(self) -> None:
        """Have it look whether there is something new."""

    def end(self, problem: FeedError) -> None:
        """Have it tell its reader why, and end."""

    def depart(self, *, retry_after_s: float) -> None:
        """Have it take its leave because the process ends."""


class Streams:
    """Watchers by what they see: those with an equal selection share a stream and every frame of it."""

    def __init__(self) -> None:
        self._current: dict[Selection, Stream] = {}
        self._watchers: dict[Stream, set[Watching]] = {}

    def __bool__(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def watchers(self) -> list[Watching]:
        """Return everyone who watches."""
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    def behind(self) -> dict[str, int]:
        """Return, by token id, how many numbers of the log the slowest of its connections is behind."""
        found: dict[str, int] = {}
        for stream, watchers in self._watchers.items():
            for watcher in watchers:
                token = watcher.grant.token
                found[token] = max(found.get(token, 0), stream.newest - watcher.position)
        return found

    def join(self, watcher: Watching, *, position: int) -> Stream:
        """Return the stream of the watcher's selection; a new one begins at `position`."""
        stream = self._current.get(watcher.selection)
        if stream is None:
            stream = self._current[watcher.selection] = Stream(watcher.selection, position=position)
            self._watchers[stream] = set()
        self._watchers[stream].add(watcher)
        return stream

    def leave(self, watcher: Watching, stream: Stream) -> None:
        """Let the watcher go, and the stream with the last of its watchers."""
        watchers = self._watchers[stream]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[stream]
            if self._current.get(stream.selection) is stream:
                del self._current[stream.selection]

    def take(self, events: Sequence[Event | Logged], *, keys: LogKeys, upto: int) -> list[Watching]:
        """Add newly read events to each stream that shows them; return the watchers for whom there is something."""
        encoder = Encoder(keys)
        by_partner: dict[str | None, list[Event | Logged]] = defaultdict(list)
        for event in events:
            by_partner[event.partner].append(event)
        by_partner[None] = list(events)
        moved: list[Watching] = []
        for selection, stream in self._current.items():
            shown: Sequence[Event | Logged] = by_partner.get(selection.topic.partner, ())
            if shown and stream.take(shown, encoder, upto=upto):
                moved.extend(self._watchers[stream])
        return moved

    def retire(self) -> None:
        """Give no stream to anybody new: the log was renumbered, and frames of before must not reach who comes now."""
        self._current.clear()

    def forget_frames(self) -> None:
        """Drop what has been encoded: an erasure has changed events, and who comes back reads them as they are now."""
        for stream in self._watchers:
            stream.forget()
