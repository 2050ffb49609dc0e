"""The feed's WebSocket: lets a client in, listens to it, and has a watcher write to it.

A plain ASGI application, not a Channels consumer: the hub calls no group messages, and an idle connection costs a third
less memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any

from livereferrals import conf
from livereferrals.exceptions import FeedError
from livereferrals.streaming import credentials, protocol, terms
from livereferrals.streaming.entrance import open_connection, watching
from livereferrals.streaming.greeting import hello
from livereferrals.streaming.hub import get_hub
from livereferrals.streaming.openings import opening_of_scope
from livereferrals.streaming.sockets import Socket
from livereferrals.streaming.watchers import Watcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livereferrals.streaming.admission import Admission
    from livereferrals.streaming.frames import Stream
    from livereferrals.streaming.openings import Opening

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)

CLOSING_S = 5.0
"""How long a server may take to report the end of a connection that we have closed."""
FAREWELL_TIMEOUT_S = 1.0
RETRY_SPREAD_S = 5.0


class FeedConsumer:
    """The ASGI application behind `feed/v1/ws`. One object serves all connections."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if (await receive())["type"] != "websocket.connect":
            return
        socket = Socket(send)
        try:
            await self._serve(await _let_in(opening_of_scope(scope), socket), receive, socket)
        except FeedError as problem:
            await socket.refuse(problem)
            await _until_closed(receive)
        except asyncio.CancelledError:
            await _take_leave(socket, receive)
            raise

    async def _serve(self, admission: Admission, receive: Receive, socket: Socket) -> None:
        hub = get_hub()
        watcher = Watcher(hub=hub, outlet=socket, admission=admission)
        async with watching(hub, watcher, admission) as stream:
            await socket.send(hello(admission), kind="hello", cursor=admission.start.cursor)
            await _converse(watcher, stream, receive, socket)


async def _let_in(opening: Opening, socket: Socket) -> Admission:
    # Accepted first, also when it is refused: before the accept a refusal reaches the client as a bare 403.
    await socket.accept(credentials.selected_subprotocol(opening.offered))
    return await open_connection(opening)


# --- listening ------------------------------------------------------------------------------------------------------------


async def _converse(watcher: Watcher, stream: Stream, receive: Receive, socket: Socket) -> None:
    """Listen until the connection is over; some seconds longer than the watcher writes, if the server is silent then."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as bound:
            watcher.start(stream, on_end=lambda: bound.reschedule(loop.time() + CLOSING_S))
            try:
                await _listen(watcher, receive, socket)
            finally:
                # The bound must not be touched once it is over.
                await watcher.aclose()
    except TimeoutError:
        logger.debug("The server did not report the end of a closed connection.")


async def _listen(watcher: Watcher, receive: Receive, socket: Socket) -> None:
    limits = conf.settings.FEED_LIMITS
    intake = terms.intake_of(limits, now=time.monotonic())
    while (message := await receive())["type"] != "websocket.disconnect":
        if watcher.is_ending:
            continue
        try:
            said = protocol.parse_client_message(message.get("text"), max_bytes=limits.client_message_bytes)
            is_ack = isinstance(said, protocol.Ack)
            intake.take(is_ack=is_ack, acks_earned=watcher.acks_earned, now=time.monotonic())
            await _answer(said, watcher, socket)
        except FeedError as problem:
            watcher.end(problem)
    socket.is_open = False


async def _answer(said: protocol.Ack | protocol.Ping | None, watcher: Watcher, socket: Socket) -> None:
    watcher.hear()
    if isinstance(said, protocol.Ack):
        watcher.acknowledge(said.cursor)
    elif isinstance(said, protocol.Ping):
        await socket.send(protocol.pong(ping_id=said.id, cursor=watcher.cursor), kind="pong", cursor=watcher.cursor)


async def _take_leave(socket: Socket, receive: Receive) -> None:
    """Say goodbye when cancelled: daphne runs no lifespan, so this is how a connection learns of the process's end.

    It waits for the client's own close, because daphne ends without sending what is not yet on its way.
    """
    retry_after_s = random.uniform(0, RETRY_SPREAD_S)  # noqa: S311 - spread, no secret
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FAREWELL_TIMEOUT_S):
            await socket.take_leave("restart", retry_after_s=retry_after_s)
            await _until_closed(receive)


async def _until_closed(receive: Receive) -> None:
    """Wait until a refused client is gone: some servers drop what is unsent when the application returns."""
    try:
        async with asyncio.timeout(CLOSING_S):
            while (await receive())["type"] != "websocket.disconnect":
                pass
    except TimeoutError:
        logger.debug("A refused client did not close.")
