"""A real name server on loopback, which answers as a test says, and a resolver that asks it through aiodns."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver

from tests.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiohttp.abc import ResolveResult

A: Final = 1
AAAA: Final = 28
NO_ERROR: Final = 0
SERVER_FAILURE: Final = 2
UNKNOWN_NAME: Final = 3


class NameServer:
    """Answers by name: addresses, `"unknown"`, `"fails"`, `"silent"`, or a function that says it anew each time."""

    def __init__(self) -> None:
        self.names: dict[str, list[str] | str | Callable[[], list[str]]] = {}
        self.asked: Counter[str] = Counter()
        """Look-ups of addresses of IPv4, by name."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="name-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the server and its thread."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"", (HOST, self.port))
        self._thread.join(60)
        self._socket.close()

    def _run(self) -> None:
        while True:
            query, caller = self._socket.recvfrom(4096)
            if not query:
                return
            answer = self._answer(query)
            if answer is not None:
                self._socket.sendto(answer, caller)

    def _answer(self, query: bytes) -> bytes | None:
        """Return the message for a query of one question (RFC 1035, 4.1)."""
        labels, place = [], 12
        while length := query[place]:
            labels.append(query[place + 1 : place + 1 + length].decode().lower())
            place += 1 + length
        name, question = ".".join(labels), query[12 : place + 5]
        (kind,) = struct.unpack("!H", query[place + 1 : place + 3])
        self.asked[name] += kind == A
        told = self.names.get(name, "unknown")
        if callable(told):
            told = told() if kind == A else []
        if told == "silent":
            return None
        code = {"unknown": UNKNOWN_NAME, "fails": SERVER_FAILURE}.get(told, NO_ERROR) if isinstance(told, str) else 0
        records = [] if isinstance(told, str) else [ip_address(one).packed for one in told]
        wanted = [record for record in records if len(record) == {A: 4, AAAA: 16}.get(kind)]
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(wanted), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(record)) + record for record in wanted)
        return head + question + body


class Names(AbstractResolver):
    """What a worker has as a resolver, asking this server and no other."""

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._inner: aiohttp.AsyncResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._inner is None:  # it belongs to the loop that runs
            self._inner = aiohttp.AsyncResolver(nameservers=[f"{HOST}:{self._server.port}"])
        return await self._inner.resolve(host, port, family)

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()


@contextlib.contextmanager
def name_server(**names: Any) -> Iterator[NameServer]:
    """Run a name server in a thread."""
    server = NameServer()
    server.names |= names
    try:
        yield server
    finally:
        server.close()
