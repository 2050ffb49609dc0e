"""The feed over a WebSocket: the one transport with acknowledgements."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Final

import aiohttp

from livereferrals.client.address import PROTOCOL
from livereferrals.client.connections import MAX_MESSAGE_BYTES, not_a_feed, of_status, unreachable
from livereferrals.client.errors import Dropped
from livereferrals.client.messages import Goodbye, Problem, parse

if TYPE_CHECKING:
    from livereferrals.client.connections import Opening
    from livereferrals.client.messages import Message

ACK_PAUSE_S: Final = 0.2
"""Acknowledgements are cumulative, and a server takes 20 messages a second at most."""
CLOSE_TIMEOUT_S: Final = 0.5


class WebSocketConnection:
    """One WebSocket."""

    backlog = 4096
    """More than a window of 2,000 events: the server stops before, and its pings are answered while there is room."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self._problem: Problem | None = None
        self._retry_after_s = 0.0
        self._to_acknowledge: str | None = None
        self._wanted = asyncio.Event()
        self._acknowledging = asyncio.create_task(self._acknowledge_all())

    @classmethod
    async def open(cls, opening: Opening) -> WebSocketConnection:
        """Connect.

        Raises:
            Dropped: it did not work.
        """
        credential = opening.credential
        try:
            socket = await opening.session.ws_connect(
                f"{opening.address}/ws",
                params=opening.parameters | {"ack": "1"},
                headers=credential.headers(),
                protocols=credential.subprotocols(),
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                max_msg_size=MAX_MESSAGE_BYTES,
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in {101, 200}:
                raise not_a_feed("the server does not speak WebSocket here") from error
            raise of_status(error.status) from error
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(error) from error
        if socket.protocol != PROTOCOL:
            await socket.close()
            raise not_a_feed(f"the server does not speak {PROTOCOL}")
        return cls(socket)

    async def receive(self) -> Message:
        """Return the next message that is known; `error` and `goodbye` are kept for the end that follows them."""
        while True:
            message = parse(await self._text())
            if isinstance(message, Problem):
                self._problem = message
                raise self._ending(None)
            if isinstance(message, Goodbye):
                self._retry_after_s = message.retry_after_s
            elif message is not None:
                return message

    def acknowledge(self, cursor: str) -> None:
        """Acknowledge soon: many handled events make one message."""
        self._to_acknowledge = cursor
        self._wanted.set()

    async def reassure(self) -> None:
        """Send a message, because a server gives up an acknowledging client that says nothing for 90 s."""
        await self._say({"type": "ping", "id": "busy"})

    async def aclose(self) -> None:
        """Close the socket, and take the connection away if the server does not answer soon."""
        self._acknowledging.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._acknowledging
        # aiohttp bounds each read of a close, not all of them; cancelled, it takes the connection away.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close()

    async def _text(self) -> str:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            raise Dropped("the server sent a binary message")
        raise self._ending(self._socket.close_code)

    def _ending(self, close: int | None) -> Dropped:
        if self._problem is not None:
            retry_after_s = max(self._retry_after_s, self._problem.retry_after_s)
            return Dropped(self._problem.message, problem=self._problem, retry_after_s=retry_after_s)
        return Dropped(f"the connection was closed ({close})", close=close, retry_after_s=self._retry_after_s)

    async def _acknowledge_all(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._say({"type": "ack", "cursor": self._to_acknowledge})
            await asyncio.sleep(ACK_PAUSE_S)

    async def _say(self, message: dict[str, str | None]) -> None:
        # Whoever receives learns of a broken connection, with its reason.
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            await self._socket.send_str(json.dumps(message))
