"""Who writes for the watchers: one task for all that have something due, and one more for each that has to wait.

A task a watcher and event would cost more than the writing. So one task goes from watcher to watcher; as soon as it has
to wait in the midst of one, for a reader that is slow or for the log, another takes over those who are left, and it ends
with the one that it waits for.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Any

SLICE_S = 0.002
"""After so much writing other work on the loop gets its turn; what was written goes out meanwhile."""


class Writing(Protocol):
    """Something that has a turn at writing."""

    async def write(self, task: asyncio.Task[Any]) -> None:
        """Write what is due. `task` does it; cancelling it ends this turn, and nobody else's."""


class Writers:
    """The writing tasks of one event loop. Whoever waits for a turn is held here, and nothing of what is written."""

    def __init__(self) -> None:
        self._due: deque[Writing] = deque()
        self._task: asyncio.Task[None] | None = None
        """The one that takes the next."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_in_turn = False
        """Whether that one is in the midst of a turn."""

    def add(self, one: Writing) -> None:
        """Give it a turn soon. It must not be here already."""
        self._due.append(one)
        if self._task is None:
            self._begin()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._write())
        self._tasks.add(self._task)
        self._task.add_done_callback(self._ended)

    async def _write(self) -> None:
        own = asyncio.current_task()
        assert own is not None  # noqa: S101 - for the type checker
        loop = asyncio.get_running_loop()
        while self._task is own and self._due:
            # Runs as soon as this task waits, wherever that is.
            loop.call_soon(self._relieve, own)
            until = time.monotonic() + SLICE_S
            is_time_left = True
            while self._due and is_time_left:
                self._is_in_turn = True
                await self._due.popleft().write(own)
                if self._task is not own:
                    return
                self._is_in_turn = False
                is_time_left = time.monotonic() < until
            await asyncio.sleep(0)

    def _relieve(self, task: asyncio.Task[None]) -> None:
        """Have another task go on where this one waits in the midst of a turn."""
        if self._task is task and self._is_in_turn:
            self._hand_over()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._task is task:
            self._hand_over()

    def _hand_over(self) -> None:
        self._task = None
        self._is_in_turn = False
        if self._due:
            self._begin()
