"""One connection that is listened to in the background, so that a long-running handler does not lose it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from livereferrals.client.errors import Breach, Dropped
from livereferrals.client.messages import Hello, Piece
from livereferrals.client.polling import PollingConnection
from livereferrals.client.sse import EventStreamConnection
from livereferrals.client.websocket import WebSocketConnection

if TYPE_CHECKING:
    from livereferrals.client.address import Transport
    from livereferrals.client.connections import Connection, Opening
    from livereferrals.client.messages import Message


async def connect(transport: Transport, opening: Opening) -> Connection:
    """Open a connection.

    Raises:
        Dropped: it did not work.
    """
    if transport == "sse":
        return await EventStreamConnection.open(opening)
    if transport == "poll":
        return PollingConnection(opening)
    return await WebSocketConnection.open(opening)


class Reception:
    """What has been received and not yet been asked for, in order; the connection's end is the last of it."""

    def __init__(self, connection: Connection, *, silence_s: float) -> None:
        self._connection = connection
        self._silence_s = silence_s
        self._received: asyncio.Queue[Message | Exception] = asyncio.Queue(connection.backlog)
        self._is_awaited = False
        self.newest: str | None = None
        """The latest cursor that the server has mentioned."""
        self._reading = asyncio.create_task(self._read())

    async def next(self) -> Message:
        """Return what comes next.

        Raises:
            Dropped: the connection is over, and everything before that has been given.
        """
        self._is_awaited = True
        try:
            found = await self._received.get()
        finally:
            self._is_awaited = False
        if isinstance(found, Exception):
            self._received.put_nowait(found)  # whoever asks again hears the same
            raise found
        return found

    @property
    def is_drained(self) -> bool:
        """Whether everything that came has been given."""
        return self._received.empty()

    def acknowledge(self, cursor: str) -> None:
        """Say that everything up to the cursor is handled."""
        self._connection.acknowledge(cursor)

    async def aclose(self) -> None:
        """Stop listening and close the connection."""
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._connection.aclose()

    async def _read(self) -> None:
        try:
            while True:
                await self._take(await self._receive())
        except Exception as error:  # noqa: BLE001 - it is raised again where the owner is
            await self._received.put(error)

    async def _receive(self) -> Message:
        try:
            async with asyncio.timeout(self._silence_s):
                return await self._connection.receive()
        except TimeoutError:
            raise Dropped(f"nothing came for {self._silence_s:g} s") from None

    async def _take(self, message: Message) -> None:
        if isinstance(message, Hello):
            raise Breach("the server greeted twice")
        if isinstance(message, Piece):
            self.newest = message.cursor
            if message.is_heartbeat and not (self._is_awaited and self._received.empty()):
                await self._connection.reassure()
        await self._received.put(message)
