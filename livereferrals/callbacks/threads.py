"""A thread of a worker's own for blocking work, so that neither its loop nor Django's threads wait for it.

Not an executor: those refuse work once the interpreter begins to end, which is when a worker writes its last results.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Work = Callable[[], None]


class WorkThread:
    """One daemon thread that does what it is given, in order."""

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """How much waits to be done."""
        return self._work.qsize()

    def submit(self, work: Work) -> None:
        """Do this after what is queued; it must not raise."""
        self._work.put(work)

    async def call(self, function: Callable[[], T]) -> T:
        """Run the function in the thread and return what it returns, or raise what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def hand_back(result: T | None, error: BaseException | None) -> None:
            # A caller that has given up may have closed its loop: then nobody waits for the answer.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        def settle(result: T | None, error: BaseException | None) -> None:
            if answer.cancelled():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type] # without an error there is a result

        def work() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - it is raised again in the caller
                hand_back(None, error)
            else:
                hand_back(result, None)

        self._work.put(work)
        return await answer

    def close(self) -> None:
        """End the thread after what is queued; does not wait."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
