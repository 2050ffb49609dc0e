"""Thousands of WebSocket readers in one event loop: they count events by a marker and look at nothing else."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER = b'{"v":1,'
"""How each event begins, on every contender."""
CLOSE, PING, PONG = 8, 9, 10
AT_ONCE = 40
GIVE_UP_S = 240.0
"""The naive baseline takes seconds for what others do in milliseconds, and ten times that on a busy machine."""


class Watcher(asyncio.Protocol):
    """One connection: tells how many events each chunk brought, answers pings, and keeps no content."""

    def __init__(self, *, path: str, token: str, on_events: Callable[[int], None]) -> None:
        self.events = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: livereferrals.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        self._on_events = on_events
        self._rest = b""
        """What is still to be read of a frame's head, or of a short message."""
        self._missing = 0
        """Bytes of a long text that are still to come."""
        self._tail = b""
        """The last bytes of a long text's chunk: a marker may lie across two."""
        self._is_greeted = False
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        """Take what the server sends."""
        if self._missing:
            data = self._take_text(data)
        self._rest += data
        if not self._is_greeted:
            self._take_answer()
        while self._is_greeted and self._rest and self._take_frame():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still waits for the opening."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed before the first message"))

    def close(self) -> None:
        """Go away without a word."""
        self._transport.abort()

    def _take_answer(self) -> None:
        head, found, rest = self._rest.partition(b"\r\n\r\n")
        if not found:
            return
        if b" 101 " not in head.partition(b"\r\n")[0]:
            self.opened.set_exception(ConnectionError(head.decode()))
            return
        self._rest = rest
        self._is_greeted = True

    def _take_frame(self) -> bool:
        found = self._rest
        if len(found) < 2:
            return False
        size, start = found[1] & 127, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(found) < start:
                return False
            size = int.from_bytes(found[2:start])
        opcode = found[0] & 15
        if opcode < CLOSE:
            self._missing, self._tail = size, b""
            self._rest = self._take_text(found[start:])
            return True
        if len(found) < start + size:
            return False
        self._rest = found[start + size :]
        self._control(opcode, found[start : start + size])
        return True

    def _take_text(self, data: bytes) -> bytes:
        """Count the events in a piece of a text; return what follows it."""
        if len(data) > self._missing:
            piece, rest = data[: self._missing], data[self._missing :]
        else:
            piece, rest = data, b""
        self._missing -= len(piece)
        count = piece.count(MARKER)
        if self._tail:
            count += (self._tail + piece[: len(MARKER) - 1]).count(MARKER)
        self._tail = piece[1 - len(MARKER) :] if self._missing else b""
        if count:
            self.events += count
            self._on_events(count)
        if not self._missing and not self.opened.done():
            self.opened.set_result(None)
        return rest

    def _control(self, opcode: int, content: bytes) -> None:
        if opcode == PING:
            # The mask of zeros leaves the content as it is.
            self._transport.write(bytes([0x80 | PONG, 0x80 | len(content), 0, 0, 0, 0]) + content)
        elif opcode == CLOSE:
            self._transport.abort()


class Crowd:
    """Many watchers of one server."""

    def __init__(self, *, port: int, path: str, token: str) -> None:
        self.watchers: list[Watcher] = []
        self.arrivals: list[float] = []
        """When each event arrived, where that is wanted."""
        self.keeps_arrivals = False
        self._port = port
        self._path = path
        self._token = token
        self._missing = 0
        self._last_at = 0.0
        self._complete = asyncio.Event()

    async def join(self, count: int) -> None:
        """Connect so many more, each greeted."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def connect() -> None:
            async with gate:
                await self._connect()

        await asyncio.gather(*(connect() for _ in range(count)))

    def leave(self) -> None:
        """Close all."""
        for one in self.watchers:
            one.close()
        self.watchers.clear()

    def expect(self, events: int) -> None:
        """Begin to count, until each watcher has got so many more."""
        self._missing = events * len(self.watchers)
        self._complete.clear()

    async def complete(self) -> float:
        """Return when the last of the expected events arrived.

        Raises:
            TimeoutError: some never did.
        """
        async with asyncio.timeout(GIVE_UP_S):
            await self._complete.wait()
        return self._last_at

    async def _connect(self) -> None:
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: Watcher(path=self._path, token=self._token, on_events=self._take), "127.0.0.1", self._port
        )
        await made.opened
        self.watchers.append(made)

    def _take(self, count: int) -> None:
        if self.keeps_arrivals:
            self.arrivals.extend([time.monotonic()] * count)
        self._missing -= count
        if self._missing <= 0:
            self._last_at = time.monotonic()
            self._complete.set()
