"""The planned end of a process: every connection is told when to come back, at a pace that its successors can take.

daphne has no ASGI lifespan and only cancels what runs; uvicorn closes with 1012. So a SIGTERM is caught before the
server has it, the connections part in their own words (feed protocol, 13), and then the server gets its signal.

    get_drain().add(watcher)                # told by `watcher.depart(retry_after_s=...)`
    get_drain().discard(watcher)

Requests that are under way are let end; daphne would cut them, orders among them.

    get_drain().enter()
    get_drain().leave()
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import threading
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from livereferrals import conf
from livereferrals.exceptions import FeedError
from livereferrals.streaming.sockets import Socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

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
        self._requests = 0
        self._emptied = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._follows_signals = False

    def add(self, connection: Departing) -> None:
        """Have a connection told of the end; the first one has SIGTERM caught."""
        self._follow_signals()
        self._held.add(connection)

    def discard(self, connection: Departing) -> None:
        """Forget a connection that is closed."""
        self._held.discard(connection)
        self._look()

    def enter(self) -> None:
        """Have a request waited for; the first one has SIGTERM caught."""
        self._follow_signals()
        self._requests += 1

    def leave(self) -> None:
        """Wait no more for a request, which is answered."""
        self._requests -= 1
        self._look()

    def _follow_signals(self) -> None:
        if not self._follows_signals:
            self._follows_signals = True
            _sigterm.catch()

    def _look(self) -> None:
        if self.is_on and not self._held and not self._requests:
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
            logger.warning(
                "The time to drain is over: %s connections are open, %s requests under way.",
                len(self._held),
                self._requests,
                extra={"action": "drain.timeout"},
            )
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
        self._look()

    def check(self) -> None:
        """Let nobody in whom the end of the process would throw out again.

        Raises:
            FeedError: `restart`.
        """
        if self.is_on:
            raise self.refusal()

    @staticmethod
    def refusal() -> FeedError:
        """Return what is said to one who comes while the process is ending."""
        retry_after_s = round(random.uniform(0, SPREAD_S), 1)  # noqa: S311 - spread, no secret
        return FeedError("restart", "The server restarts; connect again.", retry_after_s=retry_after_s)


class _Sigterm:
    """SIGTERM, caught before the server has it: once in a process, and never longer than until the first one came."""

    def __init__(self) -> None:
        self._servers: Callable[[int, FrameType | None], Any] | int | None = None

    def catch(self) -> None:
        """Have the next SIGTERM drain the loop that it finds running.

        Only the main thread can do this: where a server runs its loop in another (`runserver` with its reloader),
        connections part when they are cancelled.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        found = signal.getsignal(signal.SIGTERM)
        if found is not None and found != self._handle:  # `None`: not Python's, so that it could not be given back
            self._servers = found
            signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # From here on the signal is the server's again: a second one ends the process at once.
        signal.signal(number, self._servers)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            signal.raise_signal(number)
        else:
            loop.call_soon_threadsafe(lambda: get_drain().begin(lambda: signal.raise_signal(number)))


_sigterm = _Sigterm()
_drains: WeakKeyDictionary[asyncio.AbstractEventLoop, Drain] = WeakKeyDictionary()


def get_drain() -> Drain:
    """Return the drain of the running event loop."""
    loop = asyncio.get_running_loop()
    drain = _drains.get(loop)
    if drain is None:
        drain = _drains[loop] = Drain()
    return drain


# --- sockets that speak for themselves -------------------------------------------------------------------------------------


class WithGoodbye:
    """An ASGI application of sockets around another: each gets a goodbye and close 4000 when the process is to end.

    The application within learns of it as of any other close: by `websocket.disconnect`.
    """

    def __init__(self, application: ASGIApplication) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; turn it away while the process is ending."""
        drain = get_drain()
        if drain.is_on:
            await _turn_away(scope, receive, send)
            return
        connection = _Connection(send)
        drain.add(connection)
        try:
            await self._application(scope, receive, connection.send)
        finally:
            drain.discard(connection)


class _Connection:
    """The sending side of a socket, which can be closed past its application."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_open = False
        self._task: asyncio.Task[None] | None = None

    async def send(self, message: dict[str, Any]) -> None:
        """Pass a message on, unless the socket is closed."""
        if self._task is not None:
            return
        await self._send(message)
        if message["type"] == "websocket.accept":
            self._is_open = True
        elif message["type"] == "websocket.close":
            self._is_open = False

    def depart(self, *, retry_after_s: float) -> None:
        """Say goodbye and close; one that is not accepted yet is closed by the server's own end."""
        if self._is_open and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._say_goodbye(retry_after_s))

    async def _say_goodbye(self, retry_after_s: float) -> None:
        socket = Socket(self._send)
        await socket.take_leave("restart", retry_after_s=retry_after_s)


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    """Say goodbye to one who has just come, after the accept: a browser learns nothing from a refusal before it."""
    await receive()
    socket = Socket(send)
    offered = scope.get("subprotocols") or [None]
    await socket.accept(offered[0])
    await socket.take_leave("restart", retry_after_s=random.uniform(0, SPREAD_S))  # noqa: S311 - spread, no secret
