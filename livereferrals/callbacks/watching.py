"""The worker's watch: a thread of its own that raises and tells alerts and goes on with replays, and delays no delivery."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Final

from django.db import connections

from livereferrals.callbacks import alerting, replaying
from livereferrals.events.parting import part

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.callbacks.notices import Notice

logger = logging.getLogger(__name__)

STEP_S: Final = 1.0
"""How often replays go on."""
SWEEP_S: Final = 15.0
"""How often the tables are looked at for what nobody was told of."""
LONGEST_QUEUE: Final = 1000
"""Batches of results that may wait for a slow mail server; what is left out shows in the tables."""
FINISH_S: Final = 5.0


class Watch:
    """Looks after endpoints from its making until `aclose`."""

    def __init__(self) -> None:
        self._seen: queue.SimpleQueue[list[Notice] | Callable[[], None]] = queue.SimpleQueue()
        self._sweep_at = 0.0
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="livereferrals-callbacks-watch", daemon=True)
        self._thread.start()

    def notice(self, notices: list[Notice]) -> None:
        """Take note of results; returns at once."""
        concerning = [notice for notice in notices if alerting.concerns(notice)]
        if concerning and self._seen.qsize() < LONGEST_QUEUE:
            self._seen.put(concerning)

    async def aclose(self) -> None:
        """End after what is under way; a mail server that hangs is left behind."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            # Who has waited long enough may have closed its loop.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(over.set)

        self._seen.put(tell)
        try:
            async with asyncio.timeout(FINISH_S):
                await over.wait()
        except TimeoutError:
            logger.warning("The telling of an alert is left behind.", extra={"action": "alert.left"})

    def _run(self) -> None:
        while True:
            try:
                seen = self._seen.get(timeout=STEP_S)
            except queue.Empty:
                seen = []
            if not isinstance(seen, list):
                part()
                seen()
                return
            self._guarded(seen)

    def _guarded(self, seen: list[Notice]) -> None:
        """Do one round; whatever goes wrong is logged once and tried again."""
        try:
            self._round(seen)
        except Exception:
            # The database is away, or something nobody thought of: the watch must outlive both, as the worker does.
            if not self._is_failing:
                logger.exception("The watch over endpoints failed; it goes on.", extra={"action": "watch.failed"})
            self._is_failing = True
            connections.close_all()
            return
        self._is_failing = False

    def _round(self, seen: list[Notice]) -> None:
        if seen:
            alerting.look_at(seen)
            alerting.tell_pending()
        replaying.step_all()
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_S
            alerting.sweep()
            alerting.tell_pending()
