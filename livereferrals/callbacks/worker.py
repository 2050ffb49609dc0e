"""The worker: leases endpoints, makes their deliveries, writes what came of them, and ends without losing any.

    worker = Worker()
    await worker.run()      # until worker.stop(), from any thread

All database work is done by one thread of the worker's own, one short transaction after the other; no transaction is
open during a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from livereferrals import conf
from livereferrals.callbacks import checking, processes
from livereferrals.callbacks.pulse import Pulse
from livereferrals.callbacks.rounds import Rounds
from livereferrals.callbacks.sender import Sender
from livereferrals.callbacks.telling import Teller
from livereferrals.callbacks.threads import WorkThread
from livereferrals.events import hints
from livereferrals.events.parting import part

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiohttp.abc import AbstractResolver

logger = logging.getLogger(__name__)

BACK_OFF_S: Final = (0.1, 5.0)
"""Pause after the first failed round, and the longest."""
LAST_WRITES_S: Final = 2.0
"""How long a stopping worker goes on after its grace, to write what it has."""
WELL_S: Final = 60.0
"""A worker that has done no round for so long hangs, or has no database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a worker is told beyond the settings."""

    concurrency: int | None = None
    """Requests at the same time, in place of `CONCURRENCY`."""
    endpoint: int | None = None
    """The only subscription to serve."""
    once: bool = False
    """End when nothing is due any more."""
    health_file: Path | None = None
    """Written anew every second while the worker is well."""


class Worker:
    """One worker."""

    def __init__(self, orders: Orders | None = None, *, resolver: AbstractResolver | None = None) -> None:
        self.name = processes.this_process()
        self.calls = 0
        """Attempts that it has made, once it has ended."""
        self._orders = orders or Orders()
        self._is_hurried = False
        self._resolver = resolver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake = asyncio.Event()
        self._is_hinted = True
        self._is_stopping = False
        self._failures = 0
        self._well_at = float("-inf")

    @property
    def is_well(self) -> bool:
        """Whether a round of it went well lately; from any thread."""
        return time.monotonic() - self._well_at < WELL_S

    def wake(self) -> None:
        """Look for work now; from any thread."""
        self._is_hinted = True
        self._rouse()

    def stop(self) -> None:
        """Lease and start nothing more, wait for what is under way, and end; from any thread."""
        self._is_stopping = True
        self._rouse()

    def hurry(self) -> None:
        """Wait for nothing that is under way; from any thread, after `stop`."""
        self._is_hurried = True
        self.stop()

    def _rouse(self) -> None:
        if self._loop is not None:
            # The loop may have been closed since.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._awake.set)

    async def run(self) -> None:
        """Work until `stop()`."""
        self._loop = asyncio.get_running_loop()
        database, teller = WorkThread("livereferrals-callbacks-database"), Teller()
        hints.add_listener(self.wake, about=hints.DELIVERIES)
        receiving = asyncio.create_task(hints.receive_forever())
        logger.info("Callback worker %s started.", self.name, extra={"action": "worker.started"})
        try:
            async with Sender(
                ca_bundle=conf.callbacks.CA_BUNDLE, proxy=checking.proxy(), resolver=self._resolver
            ) as sender:
                rounds = Rounds(
                    worker=self.name,
                    database=database,
                    sender=sender,
                    tell=teller.tell,
                    rouse=self._awake.set,
                    slots=self._orders.concurrency,
                    only=self._orders.endpoint,
                )
                await self._work(rounds)
        finally:
            hints.remove_listener(self.wake, about=hints.DELIVERIES)
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
            await teller.aclose()
            await self._part_from(database)
            logger.info("Callback worker %s ended.", self.name, extra={"action": "worker.ended"})

    async def _part_from(self, database: WorkThread) -> None:
        """Close the connection, unless the thread is still waiting for a database that does not answer."""
        try:
            async with asyncio.timeout(LAST_WRITES_S):
                await database.call(part)
        except TimeoutError:
            logger.warning("The database does not answer; it is left behind.", extra={"action": "worker.left"})
        database.close()

    async def _work(self, rounds: Rounds) -> None:
        pulse = Pulse(self._orders.health_file)
        try:
            while not (self._is_stopping or (self._orders.once and rounds.is_done)):
                self._awake.clear()
                is_hinted, self._is_hinted = self._is_hinted, False
                if not await self._guarded(partial(rounds.round, is_hinted=is_hinted)):
                    await rounds.recover()
                    continue
                self._well_at = time.monotonic()
                pulse.beat(worker=self.name, in_flight=rounds.in_flight, calls=rounds.progress.ended_in_all)
                if not (self._orders.once and rounds.is_done):
                    await self._sleep(rounds.pause())
            await self._wind_up(rounds)
        finally:
            await rounds.cancel_attempts()
            self.calls = rounds.progress.ended_in_all
            pulse.stop()
            self._well_at = float("-inf")

    async def _guarded(self, act: Callable[[], Awaitable[None]]) -> bool:
        """Run one round; whatever goes wrong is logged and tried again after a pause. Returns whether it went well."""
        try:
            await act()
        except Exception:
            # The database is away, or something nobody thought of: the worker must outlive both.
            if not self._failures:
                logger.exception("A callback worker's round failed; it goes on.", extra={"action": "worker.failed"})
            first, longest = BACK_OFF_S
            pause = min(first * 2 ** min(self._failures, 10), longest)
            self._failures += 1
            await self._sleep(pause, unless_stopping=True)
            return False
        if self._failures:
            logger.info("The callback worker works again.", extra={"action": "worker.recovered"})
        self._failures = 0
        return True

    async def _sleep(self, pause_s: float, *, unless_stopping: bool = False) -> None:
        """Wait for something to do; `unless_stopping`: for the stop only."""
        deadline = time.monotonic() + pause_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._awake.wait()
        while unless_stopping and not self._is_stopping and (left := deadline - time.monotonic()) > 0:
            self._awake.clear()
            await self._sleep(left)

    async def _wind_up(self, rounds: Rounds) -> None:
        """Wait for what is under way, at most for the grace; write every result and give everything back."""
        grace_s = conf.callbacks.SHUTDOWN_GRACE.total_seconds()
        try:
            async with asyncio.timeout(grace_s + LAST_WRITES_S):
                await self._finish(rounds, grace_ends=time.monotonic() + grace_s)
        except TimeoutError:
            # The leases end by themselves, and what was under way is repeated then.
            logger.warning("The worker ends with results unwritten.", extra={"action": "worker.unwritten"})

    async def _finish(self, rounds: Rounds, *, grace_ends: float) -> None:
        rounds.leave_all()
        while not rounds.is_over:
            self._awake.clear()
            if self._is_hurried or time.monotonic() >= grace_ends:
                await rounds.cancel_attempts()
            if not await self._guarded(rounds.settle):
                await rounds.recover()
            elif not rounds.is_over:
                await self._sleep(min(0.5, max(0.0, grace_ends - time.monotonic())))
