"""Who waits for work that is done in groups: one event loop's side of it, and how much is taken on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is taken on."""

    most: int
    """Items in a group."""
    room: int
    """Items that may wait."""
    room_within_s: float = 2.0
    """How long one waits for room in a full queue."""
    patience_s: float = 10.0
    """How long an answer is waited for: a visitor stands behind it."""
    look_s: float = 1.0
    """How often it is looked for those who have waited too long."""


class NoRoomError(Exception):
    """More is queued than can be worked off in time."""


class LateError(Exception):
    """The answer has not come in time; what was asked may still be done if it has begun."""


class Asked(NamedTuple):
    """An item, and who waits for its answer."""

    item: Any
    future: asyncio.Future[Any] | concurrent.futures.Future[Any] | None
    desk: Desk | None
    """Where the answer goes; a thread waits by itself."""

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be done: not if its answer was given up; a caller that has only gone away wants it still."""
        return self.future is None or not self.future.done() or self.future.cancelled()


def answered(future: asyncio.Future[Any] | concurrent.futures.Future[Any], answer: Any) -> None:
    """Give the answer to the one who waits for it."""
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class Desk:
    """One event loop's side: who waits there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self.loop = loop
        self._limits = limits
        self.waiting: dict[asyncio.Future[Any], float] = {}
        """Until when each is waited for, in the order of coming."""
        self._looking: asyncio.TimerHandle | None = None
        self.wants_room = False
        """Whether somebody waits for room."""
        self._room: asyncio.Future[None] | None = None

    def wait(self, *, since: float | None = None) -> asyncio.Future[Any]:
        """Return a place for one answer, which fails when it has waited too long.

        `since`: it began at this loop's time; if all its patience has gone by, there is still as much as between two looks.
        """
        future, now = self.loop.create_future(), self.loop.time()
        whole, rest = now + self._limits.patience_s, now + self._limits.look_s
        self.waiting[future] = whole if since is None else max(since + self._limits.patience_s, rest)
        if self._looking is None:
            self._looking = self.loop.call_later(self._limits.look_s, self._look)
        return future

    async def room(self, is_full: Callable[[], bool]) -> None:
        """Return when there is room.

        Raises:
            NoRoomError: there is none for as long as one may wait for it.
        """
        try:
            async with asyncio.timeout(self._limits.room_within_s):
                await self._wait_for_room(is_full)
        except TimeoutError:
            raise NoRoomError from None

    async def _wait_for_room(self, is_full: Callable[[], bool]) -> None:
        while True:
            if self._room is None or self._room.done():
                self._room = self.loop.create_future()
            self.wants_room = True
            if not is_full():  # asked after the wish is known, which the thread looks for when it has made room
                return
            await asyncio.shield(self._room)

    def make_room(self) -> None:
        """Wake those who wait for room."""
        self.wants_room = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def settle(self, group: Sequence[Asked], answers: Sequence[Any]) -> None:
        """Hand the answers out."""
        for (_, future, desk), answer in zip(group, answers, strict=True):
            if desk is self and isinstance(future, asyncio.Future):
                self.waiting.pop(future, None)
                if not future.done():
                    answered(future, answer)

    def _look(self) -> None:
        """Give up what has waited too long: one timer for all."""
        now = self.loop.time()
        for future in [future for future, until in self.waiting.items() if until <= now]:
            del self.waiting[future]
            if not future.done():
                future.set_exception(LateError())
        self._looking = self.loop.call_later(self._limits.look_s, self._look) if self.waiting else None
