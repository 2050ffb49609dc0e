"""Keeps the tail after the rollups short: before a page, and beside the live renderings, never in the way of one."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

import django.db

from livereferrals.dashboard import statistics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

PAUSE_S = 0.5
"""The shortest time between two looks at the tail."""
_away_for_pages = threading.Event()
"""Set while the totals cannot be brought forward for pages, which has been said then."""


def shorten_for_page() -> None:
    """Bring the rollups forward where a page would have to read much after them. If that fails, it reads much."""
    try:
        statistics.keep_tail_short()
    except django.db.Error:
        # Full, locked or read-only: a long tail is still read right, and where nothing can be read the page says so itself.
        if not _away_for_pages.is_set():
            logger.warning("The totals cannot be brought forward.", exc_info=True, extra={"action": "rollup.away"})
        _away_for_pages.set()
    else:
        _away_for_pages.clear()


class Shortening:
    """Brings the rollups of one event loop's watchers forward, one time after the other.

    A frame that had to wait for it would come late whenever much happens: it is a transaction that writes, and on SQLite
    it waits for every hit.
    """

    def __init__(self, run: Callable[..., Awaitable[None]]) -> None:
        self._run_in_thread = run
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        self._failing = False

    def wake(self) -> None:
        """Look at the tail soon. Only from its own loop."""
        self._wanted = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._shorten())
            self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Look no more; what is under way in a thread ends by itself."""
        if self._task is not None:
            self._task.cancel()

    async def _shorten(self) -> None:
        while self._wanted:
            self._wanted = False
            await self._look()
            await asyncio.sleep(PAUSE_S)

    async def _look(self) -> None:
        try:
            await self._run_in_thread(statistics.keep_tail_short, statistics.SHORT_TAIL)
        except django.db.Error:
            # The renderings find out by themselves, and say it; a long tail is still read right.
            if not self._failing:
                logger.warning("The totals cannot be brought forward.", exc_info=True, extra={"action": "rollup.away"})
            self._failing = True
        else:
            self._failing = False

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("The totals could not be brought forward.", exc_info=error, extra={"action": "rollup.failed"})
