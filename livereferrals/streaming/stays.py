"""A watcher's stay with a hub, as an asynchronous context."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livereferrals.streaming.frames import Stream
    from livereferrals.streaming.hub import Hub
    from livereferrals.streaming.streams import Watching


class Stay:
    """One watcher's stay with a hub. A class with slots, for there are thousands, and a generator is ten times as large."""

    __slots__ = ("_head", "_hub", "_stream", "_until", "_watcher")

    def __init__(self, hub: Hub, watcher: Watching, head: int, until: float) -> None:
        self._hub = hub
        self._watcher = watcher
        self._head = head
        self._until = until
        self._stream: Stream

    async def __aenter__(self) -> Stream:
        self._stream = await self._hub.take_on(self._watcher, head=self._head, until=self._until)
        return self._stream

    async def __aexit__(self, *_details: object) -> None:
        self._hub.let_go(self._watcher, self._stream)
