"""The partners' servers: a raw protocol that answers each request at once, or never, and remembers who called.

    python -m benchmarks.clients.sink --ports 8 [--hanging 1]

prints the ports as JSON, the hanging ones first; SIGTERM ends it, and it prints what came: requests, each delivery once
(by the last part of the request's path), the times of the first and the last (of `time.time()`), and its own CPU time.
A process of its own, and as cheap as it goes, so that it is not what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
CLOSING = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class Book:
    """What came."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        """When each delivery came first."""
        self.requests = 0
        self.hanging = 0
        self.first = self.last = 0.0

    def note(self, head: bytes) -> None:
        """Write a request down."""
        self.last = time.time()
        self.first = self.first or self.last
        self.requests += 1
        path = head[: head.index(b"\r\n")].split(b" ")[1]
        self.arrived.setdefault(path.rpartition(b"/")[2].decode(), self.last)


class Partner(asyncio.Protocol):
    """One connection to a partner who answers at once."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._book.note(head)
            is_last = CLOSE.search(head) is not None
            self._transport.write(CLOSING if is_last else ANSWER)
            if is_last:
                self._transport.close()
                return


class Hanging(asyncio.Protocol):
    """One connection to a partner who never answers."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the call."""
        self._book.hanging += 1


async def serve(*, ports: int, hanging: int) -> None:
    """Listen until SIGTERM, then print what came."""
    book, over, loop = Book(), asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    servers = []
    for number in range(ports):
        made = partial(Hanging if number < hanging else Partner, book)
        servers.append(await loop.create_server(made, "127.0.0.1", 0, backlog=4096))
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)  # noqa: T201
    await over.wait()
    found = {
        "requests": book.requests,
        "hanging": book.hanging,
        "first": book.first,
        "last": book.last,
        "cpu_s": time.process_time(),
        "arrived": book.arrived,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What a sink got."""

    requests: int
    hanging: int
    """Calls to those who never answer."""
    arrived: dict[str, float]
    """When each delivery came first, by the last part of its path."""
    first: float
    last: float
    cpu_s: float

    @property
    def rate(self) -> float:
        """Requests a second, between the first and the last."""
        return (self.requests - 1) / (self.last - self.first)


class Sink:
    """The process of a sink."""

    def __init__(self, *, ports: int, hanging: int = 0) -> None:
        command = [sys.executable, "-m", "benchmarks.clients.sink", "--ports", str(ports), "--hanging", str(hanging)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self.ports: list[int] = json.loads(self._process.stdout.readline())

    def end(self) -> Catch:
        """End it; return what came."""
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=60)
        return Catch(**json.loads(output))

    def kill(self) -> None:
        """End it where nobody asks what came."""
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", type=int, default=8)
    parser.add_argument("--hanging", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(serve(ports=options.ports, hanging=options.hanging))


if __name__ == "__main__":
    main()
