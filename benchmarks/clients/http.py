"""A raw HTTP client: as many connections as asked, each sends its next request when it has read an answer.

`python -m benchmarks.clients.http URL --connections 64 [--seconds 4 | --requests 2000] [--cookie NAME=VALUE]` tells what it
saw as JSON on one line. With a number of requests exactly so many are sent and answered; a connection that is lost ends
its part, and what was answered until then is told all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
DRAIN_S = 10.0


@dataclass
class Load:
    """What is sent, and what came back."""

    request: bytes
    left: int | None
    until: float
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    lost: int = 0

    def takes_another(self) -> bool:
        """Whether one more request is to be sent; counts it."""
        if time.monotonic() >= self.until:
            return False
        if self.left is not None:
            self.left -= 1
            return self.left >= 0
        return True


class Connection(asyncio.Protocol):
    """One connection; answers have a length, or no content at all."""

    def __init__(self, load: Load) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 - asyncio's own promise
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a part of it."""
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or not _is_whole(head, rest):
            return
        status = head[9:12].decode()
        self._load.statuses[status] = self._load.statuses.get(status, 0) + 1
        self._load.latencies.append(time.monotonic() - self._sent_at)
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if not self.over.done():
            self._load.lost += 1
            self.over.set_result(None)

    def _send(self) -> None:
        if not self._load.takes_another():
            if not self.over.done():
                self.over.set_result(None)
            self._transport.close()
            return
        self._sent_at = time.monotonic()
        self._transport.write(self._load.request)


def _is_whole(head: bytes, content: bytes) -> bool:
    lower = head.lower()
    if b"\r\ncontent-length:" in lower:
        length = int(lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return len(content) >= length
    if b"\r\ntransfer-encoding: chunked" in lower:
        return content.endswith(b"0\r\n\r\n")
    return True


async def load(url: str, *, connections: int, requests: int | None, seconds: float, cookie: str) -> dict[str, float]:
    """Load the server; return what was seen."""
    parts = urlsplit(url)
    headers = f"Host: {parts.netloc}\r\nUser-Agent: {BROWSER}\r\n" + (f"Cookie: {cookie}\r\n" if cookie else "")
    began = time.monotonic()
    what = Load(f"GET {parts.path} HTTP/1.1\r\n{headers}\r\n".encode(), requests, began + seconds)
    loop = asyncio.get_running_loop()
    host, port = parts.hostname or "", parts.port or 80
    connecting = [loop.create_connection(lambda: Connection(what), host, port) for _ in range(connections)]
    waiting = []
    for opened in await asyncio.gather(*connecting, return_exceptions=True):
        if isinstance(opened, BaseException):
            what.lost += 1  # a server may be killed while some connect
        else:
            waiting.append(opened[1].over)
    if waiting:
        await asyncio.wait(waiting, timeout=seconds + DRAIN_S)
    taken = sorted(what.latencies) or [0.0]
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = time.monotonic() - began
    redirects = what.statuses.get("302", 0)
    answers = sum(what.statuses.values())
    return {
        "requests": answers,
        "redirects": redirects,
        "wrong": answers - redirects,
        "failed": what.lost,
        "seconds": spent,
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[min(len(taken) - 1, len(taken) * 99 // 100)] * 1000,
        "cpu": (used.ru_utime + used.ru_stime) / spent,
    }


def main() -> None:
    """Load and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cookie", default="")
    asked = parser.parse_args()
    seen = asyncio.run(
        load(
            asked.url,
            connections=asked.connections,
            requests=asked.requests,
            seconds=asked.seconds,
            cookie=asked.cookie,
        )
    )
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main()
