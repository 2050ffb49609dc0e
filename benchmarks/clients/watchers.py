"""Thousands of WebSocket readers in one event loop: they count events by a marker and look at nothing else."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from typing import TYPE_CHECKING, ClassVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MARKER = b'{"v":1,'
"""How each event begins, on every contender."""
OVERLAP = len(MARKER) - 1
CLOSE, PING, PONG = 8, 9, 10
CHUNK = 65_536
HEAD = 1024
"""More than any head, control frame or answer to a request takes."""
AT_ONCE = 40
GIVE_UP_S = 240.0
"""The naive baseline takes seconds for what others do in milliseconds, and ten times that on a busy machine."""


class Watcher(asyncio.BufferedProtocol):
    """One connection: tells how many events each chunk brought, answers pings, and keeps no content.

    All read into one buffer and count in it: bytes objects of their own, of the size that a grown receive window gives,
    would take the client twice the time of the server.
    """

    _buffer: ClassVar = bytearray(CHUNK)
    _view: ClassVar = memoryview(_buffer)

    def __init__(self, *, path: str, token: str, on_events: Callable[[int], None]) -> None:
        self.events = 0
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: livereferrals.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        self._on_events = on_events
        self._held = b""
        """The answer to the request, a frame's head or a control frame, as far as it has come."""
        self._missing = 0
        """Bytes of a text that are still to come."""
        self._tail = b""
        """The last bytes of a text's chunk: a marker may lie across two."""
        self._is_greeted = False
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._request.encode())

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next chunk is to be read to: it is looked at before anybody else reads."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the server sends."""
        at = 0
        while at < nbytes:
            at = self._take_text(at, nbytes) if self._missing else self._take_head(at, nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still waits for the opening."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed before the first message"))

    def close(self) -> None:
        """Go away without a word."""
        self._transport.abort()

    def _take_text(self, at: int, end: int) -> int:
        """Count the events in a piece of a text; return where it ends."""
        end = min(end, at + self._missing)
        self._missing -= end - at
        count = self._buffer.count(MARKER, at, end)
        if self._tail:
            count += (self._tail + self._buffer[at : min(end, at + OVERLAP)]).count(MARKER)
        last = bytes(self._buffer[max(at, end - OVERLAP) : end])
        self._tail = (self._tail + last)[-OVERLAP:] if self._missing else b""
        if count:
            self.events += count
            self._on_events(count)
        if not self._missing and not self.opened.done():
            self.opened.set_result(None)
        return end

    def _take_head(self, at: int, end: int) -> int:
        """Take what is no text; return where it ends."""
        before = len(self._held)
        self._held += self._buffer[at : min(end, at + HEAD)]
        used = self._head() if self._is_greeted else self._answer()
        if used is None:  # more of it is to come
            return min(end, at + HEAD)
        self._held = b""
        return at + used - before

    def _answer(self) -> int | None:
        """Return how long the answer to the request is, where it is there as a whole."""
        head, found, _ = self._held.partition(b"\r\n\r\n")
        if not found:
            return None
        if b" 101 " not in head.partition(b"\r\n")[0]:
            self.opened.set_exception(ConnectionError(head.decode()))
            self._transport.abort()
            return len(self._held)
        self._is_greeted = True
        return len(head) + len(found)

    def _head(self) -> int | None:
        """Return how long a frame's head, or a control frame, is, where it is there as a whole."""
        found = self._held
        if len(found) < 2:
            return None
        size, start = found[1] & 127, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(found) < start:
                return None
            size = int.from_bytes(found[2:start])
        opcode = found[0] & 15
        if opcode < CLOSE:
            self._missing, self._tail = size, b""
            return start
        if len(found) < start + size:
            return None
        self._control(opcode, found[start : start + size])
        return start + size

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
