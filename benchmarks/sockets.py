"""A WebSocket client that costs next to nothing, so that thousands of them do not hide what the server costs."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CLOSE, PING, PONG = 8, 9, 10


class RawSocket(asyncio.Protocol):
    """One connection: gives each text frame's bytes to `on_text`, answers pings, and never looks into the content."""

    def __init__(self, *, path: str, token: str, on_text: Callable[[bytes], None]) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: livereferrals.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        self._on_text = on_text
        self._received = b""
        self._greeted = False
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - asyncio's own promise
        self._transport = transport
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        """Take what the server sends."""
        self._received += data
        if not self._greeted and b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self.opened.set_exception(ConnectionError(head.decode()))
                return
            self._greeted = True
        while self._greeted and self._take_frame():
            pass

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still waits for the opening."""
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionError("closed before hello"))

    def close(self) -> None:
        """Go away without a word."""
        self._transport.abort()

    def _take_frame(self) -> bool:
        found = self._received
        if len(found) < 2:
            return False
        size, start = found[1] & 127, 2
        if size > 125:
            width = 2 if size == 126 else 8
            start += width
            size = int.from_bytes(found[2:start])
        if len(found) < start + size:
            return False
        self._received = found[start + size :]
        self._answer(found[0] & 15, found[start : start + size])
        return True

    def _answer(self, opcode: int, content: bytes) -> None:
        if opcode == PING:
            # The mask of zeros leaves the content as it is.
            self._transport.write(bytes([0x80 | PONG, 0x80 | len(content), 0, 0, 0, 0]) + content)
        elif opcode == CLOSE:
            self._transport.abort()
        elif not self.opened.done():
            self.opened.set_result(None)
        else:
            self._on_text(content)
