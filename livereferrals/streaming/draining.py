"""The planned end of a process: every connection is told when to come back, at a pace that its successors can take.

daphne has no ASGI lifespan and only cancels what runs; uvicorn closes with 1012. So a SIGTERM is caught before the
server has it, the connections part in their own words (feed protocol, 13), and then the server gets its signal.

    with get_drain().holding(watcher):      # told by `watcher.depart(retry_after_s=...)`
        ...
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary, ref

from livereferrals import conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

logger = logging.getLogger(__name__)

SPREAD_S = 10.0
"""Clients are asked to come back evenly over this time."""
CLOSES_S = 500
"""Connections closed in a second at most."""
SLICE = 25
"""Connections that part before others get their turn on the loop."""
SERVER_SHARE = 0.2
"""Part of `FEED_DRAIN` that is left for the server's own end."""
LOOK_S = 0.05


class Departing(Protocol):
    """A connection that can take its leave."""

    def depart(self, *, retry_after_s: float) -> None:
        """Begin to say goodbye and to close; returns at once."""


class Drain:
    """The end of one event loop's connections."""

    def __init__(self) -> None:
        self.is_on = False
        """Whether the process is about to end: nobody new is let in."""
        self._held: set[Departing] = set()
        self._emptied = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._follows_signals = False

    @contextlib.contextmanager
    def holding(self, connection: Departing) -> Iterator[None]:
        """Have a connection told of the end for as long as this lasts."""
        self.add(connection)
        try:
            yield
        finally:
            self.discard(connection)

    def add(self, connection: Departing) -> None:
        """Have a connection told of the end."""
        self._held.add(connection)

    def discard(self, connection: Departing) -> None:
        """Forget a connection that is closed."""
        self._held.discard(connection)
        if self.is_on and not self._held:
            self._emptied.set()

    def begin(self, then: Callable[[], object]) -> None:
        """Part with all connections, then call `then`; does nothing when it has begun before. On its own loop only."""
        if self.is_on:
            return
        self.is_on = True
        self._task = asyncio.get_running_loop().create_task(self._run(then))

    async def _run(self, then: Callable[[], object]) -> None:
        total = len(self._held)
        logger.info("Draining %s connections.", total, extra={"action": "drain.begun"})
        try:
            async with asyncio.timeout(conf.settings.FEED_DRAIN.total_seconds() * (1 - SERVER_SHARE)):
                await self._part()
                await self._emptied.wait()
        except TimeoutError:
            logger.warning("%s connections did not close.", len(self._held), extra={"action": "drain.timeout"})
        else:
            logger.info("Drained.", extra={"action": "drain.done"})
        finally:
            then()

    async def _part(self) -> None:
        """Tell everyone; those who were being let in as it began have their turn after the rest."""
        told: set[Departing] = set()
        while waiting := self._held - told:
            for place, connection in enumerate(waiting):
                if place % SLICE == 0 and place:
                    await asyncio.sleep(SLICE / CLOSES_S)
                if connection in self._held:
                    connection.depart(retry_after_s=SPREAD_S * place / len(waiting))
            told |= waiting
            await asyncio.sleep(LOOK_S)
        if not self._held:
            self._emptied.set()

    def follow_signals(self) -> None:
        """Have SIGTERM drain this loop before the server acts on it; a second one reaches the server at once.

        To be called on the loop once the server has its own handlers in place. Only the main thread can do this: where
        a server runs its loop in another (`runserver` with its reloader), connections part when they are cancelled.
        """
        if self._follows_signals:
            return
        self._follows_signals = True
        servers = signal.getsignal(signal.SIGTERM)
        if threading.current_thread() is not threading.main_thread() or servers is None:
            return
        loop = ref(asyncio.get_running_loop())

        def end() -> None:
            signal.raise_signal(signal.SIGTERM)

        def handle(number: int, _frame: FrameType | None) -> None:
            # From here on the signal is the server's again.
            signal.signal(number, servers)
            running = loop()
            if running is not None and running.is_running():
                running.call_soon_threadsafe(self.begin, end)
            else:
                end()

        signal.signal(signal.SIGTERM, handle)


_drains: WeakKeyDictionary[asyncio.AbstractEventLoop, Drain] = WeakKeyDictionary()


def get_drain() -> Drain:
    """Return the drain of the running event loop."""
    loop = asyncio.get_running_loop()
    drain = _drains.get(loop)
    if drain is None:
        drain = _drains[loop] = Drain()
    return drain
