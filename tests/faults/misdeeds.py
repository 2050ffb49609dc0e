"""What partners' servers do to a caller, as scripts for `Answer(script=...)`: bytes, pauses and ways to hang up."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from typing import TYPE_CHECKING, Final

from tests.partner import Answer

if TYPE_CHECKING:
    from asyncio import StreamWriter
    from collections.abc import Awaitable, Callable

    Script = Callable[[StreamWriter], Awaitable[None]]

OK_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
EARLY_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
MIB: Final = 1 << 20


def sends(*pieces: bytes, pause_s: float = 0.0) -> Answer:
    """Send these bytes, with a pause after each, and hang up."""

    async def script(writer: StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return Answer(script=script)


def goes_silent_after(data: bytes) -> Answer:
    """Send these bytes and say nothing more, until the caller or the test ends."""

    async def script(writer: StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.Event().wait()

    return Answer(script=script)


def repeats(piece: bytes, *, after: bytes = b"", pause_s: float = 0.0) -> Answer:
    """Send these bytes again and again, for ever."""

    async def script(writer: StreamWriter) -> None:
        writer.write(after)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return Answer(script=script)


def resets_after(data: bytes) -> Answer:
    """Send these bytes, give them time to arrive, and reset the connection."""

    async def script(writer: StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.3)
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return Answer(script=script)


class HugeBody:
    """Sends a body of this size as fast as it is taken; `sent` is what the caller's machine has taken of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.answer = Answer(script=self._script)

    async def _script(self, writer: StreamWriter) -> None:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.size)
        for _ in range(self.size // 65_536):
            writer.write(b"x" * 65_536)
            await writer.drain()
            self.sent += 65_536


def gzip_bomb(size: int) -> bytes:
    """Return some kilobytes that inflate to this size; as members of one gzip file, so that it is made at once."""
    return gzip.compress(bytes(MIB)) * (size // MIB)


def response(*lines: bytes, body: bytes = b"") -> bytes:
    """Return a response with these lines of a head, whatever they say."""
    return b"\r\n".join((*lines, b"", b"")) + body


def many_headers(count: int) -> bytes:
    """Return a response with this many header lines."""
    return response(b"HTTP/1.1 200 OK", *(b"X-%d: a" % number for number in range(count)))


NO_HTTP: Final = {
    "nothing-like-http": b"\x00\x01\x02 hello\r\n\r\n",
    "http-0.9": b"hello\r\n\r\n",
    "no-number": response(b"HTTP/1.1 abc OK", b"Content-Length: 0"),
    "four-digits": response(b"HTTP/1.1 2000 OK", b"Content-Length: 0"),
    "unknown-version": response(b"HTTP/9.9 200 OK", b"Content-Length: 0"),
    "no-colon": response(b"HTTP/1.1 200 OK", b"NoColonHere", b"Content-Length: 0"),
    "no-name": response(b"HTTP/1.1 200 OK", b": a", b"Content-Length: 0"),
    "nul-in-header": response(b"HTTP/1.1 200 OK", b"X-A: a\x00b", b"Content-Length: 0"),
    "bare-cr-in-header": response(b"HTTP/1.1 200 OK", b"X-A: a\rX-B: b", b"Content-Length: 0"),
    "two-lengths": response(b"HTTP/1.1 200 OK", b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
    "negative-length": response(b"HTTP/1.1 200 OK", b"Content-Length: -1"),
    "length-and-chunked": response(
        b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"
    ),
    "another-protocol": response(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: upgrade"),
    "bad-chunk-with-the-head": response(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"zz\r\nab\r\n"),
}
"""Answers that are no HTTP; the last one is a 200 that is lost with the chunk in its packet."""
