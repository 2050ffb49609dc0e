"""A partner's HTTP server, which records what it is called with and misbehaves on request.

It speaks HTTP/1.1 by hand, because what a well-made server would never do is what a sender has to survive. Its URLs begin
with a word of its own: who asks for another path looks for somebody else, is told 410, and counts for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.ports import HOST, hold_port
from tests.waiting import DEADLINE_S, wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterator

HEAD_LIMIT = 1 << 20

Manner = Literal["answer", "hang", "close", "reset", "garbage", "torn", "drip", "endless"]
"""answer: properly. hang: never answers. close: hangs up without a word. reset: RST. garbage: not HTTP. torn: hangs up
in the middle of the body. drip: one byte of the head each 0.1 s. endless: a body that never ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that the partner got."""

    method: str
    target: str
    """Path and query exactly as they came."""
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes
    at: float
    """`time.time()` of its arrival."""
    connection: int
    """Number of the TCP connection."""
    prefix: str = ""
    """The sink's own part of the path."""

    @property
    def path(self) -> str:
        """The path as `PartnerSink.url` was given it, still percent-encoded."""
        return urlsplit(self.target).path.removeprefix(self.prefix)

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded parameters, empty ones included."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the partner answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    """How long the partner thinks before it answers."""
    manner: Manner = "answer"
    script: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
    """Does whatever it likes to the caller in place of an answer; then the connection is closed."""

    def head(self) -> bytes:
        """Return status line and headers."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Whatever"
        headers = {"content-length": str(len(self.body)), "content-type": "text/plain"} | self.headers
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1")


OK = Answer()
GONE = Answer(status=410, headers={"connection": "close"})


class PartnerSink:
    """The server: `calls` are in order of arrival; `answer_with(...)` queues answers, then `default` holds."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.calls: list[Call] = []
        self.default = OK
        self.port = 0
        self.prefix = f"/{secrets.token_hex(4)}"
        self.connections = 0
        """TCP connections opened so far, strangers' excepted."""
        self._tls = tls
        self._queue: deque[Answer] = deque()
        self._by_path: dict[str, Answer] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="partner-sink", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._numbers = itertools.count(1)
        self._holder: socket.socket | None = None

    @property
    def origin(self) -> str:
        """The address without a path, as a proxy has it."""
        return f"{'http' if self._tls is None else 'https'}://{HOST}:{self.port}"

    def url(self, target: str = "/callback", *, host: str = HOST) -> str:
        """Return the address of a path, with its query, at this server; it may be called by another name."""
        return f"{self.origin.replace(HOST, host)}{self.prefix}{target}"

    def answer_with(self, *answers: Answer) -> None:
        """Answer the next calls so, one after the other."""
        self._queue.extend(answers)

    def answer_at(self, path: str, answer: Answer) -> None:
        """Answer every call of a path so."""
        self._by_path[path] = answer

    def release(self) -> None:
        """Let go of all hanging calls; they end without an answer."""
        self._loop.call_soon_threadsafe(self._released.set)

    def wait_for(self, count: int, *, timeout_s: float = DEADLINE_S) -> list[Call]:
        """Return the calls once there are at least `count`."""
        wait_until(lambda: len(self.calls) >= count, timeout_s=timeout_s, what=f"Call {count} of the partner")
        return list(self.calls)

    def start(self) -> None:
        """Listen on a free port, or again on the one of before."""
        if not self._thread.is_alive():
            self._thread.start()
        if self._holder is None:
            self._holder = hold_port()
            self.port = self._holder.getsockname()[1]
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(DEADLINE_S)

    def stop_listening(self) -> None:
        """Refuse connections, until `start()` is called again; open ones end."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(DEADLINE_S)

    def close(self) -> None:
        """End the server and its thread."""
        self.stop_listening()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()
        if self._holder is not None:
            self._holder.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._converse, HOST, self.port, limit=HEAD_LIMIT, ssl=self._tls)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            number = next(self._numbers)
            while (call := await self._read(reader, number)) is not None:
                if self._is_strangers(call):
                    self.connections -= 1
                    await self._reply(GONE, writer)
                    break
                self.calls.append(call)
                if not await self._reply(self._choose(call), writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()  # the caller hung up, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    def _is_strangers(self, call: Call) -> bool:
        """Whether the call is another server's; one that begins with no slash is a proxy's, and names where it goes."""
        return call.target.startswith("/") and not call.target.startswith(self.prefix)

    def _choose(self, call: Call) -> Answer:
        if (fixed := self._by_path.get(call.path)) is not None:
            return fixed
        return self._queue.popleft() if self._queue else self.default

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Call | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _version = start.split(" ", 2)
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Call(
            method=method,
            target=target,
            headers=headers,
            body=body,
            at=time.time(),
            connection=number,
            prefix=self.prefix,
        )

    async def _reply(self, answer: Answer, writer: asyncio.StreamWriter) -> bool:
        """Answer; return whether the connection stays open."""
        await asyncio.sleep(answer.delay_s)
        if answer.manner == "answer" and answer.script is None:
            writer.write(answer.head() + answer.body)
            await writer.drain()
            return answer.headers.get("connection", "").lower() != "close"
        if answer.script is not None:
            await answer.script(writer)
            return False
        await getattr(self, f"_do_{answer.manner}")(answer, writer)
        return False

    async def _do_hang(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        await self._released.wait()

    async def _do_reset(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def _do_garbage(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        writer.write(answer.body or b"\x00\x01 this is no HTTP\r\n\r\n")
        await writer.drain()

    async def _do_torn(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        whole = Answer(status=answer.status, headers={"content-length": "1000"}, body=b"half").head()
        writer.write(whole + b"half of it")
        await writer.drain()

    async def _do_drip(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        for byte in answer.head() + answer.body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.1)

    async def _do_endless(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        head = Answer(status=answer.status, headers=answer.headers | {"content-length": str(1 << 40)}).head()
        writer.write(head)
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async def _do_close(self, answer: Answer, writer: asyncio.StreamWriter) -> None:
        """Hang up without a word."""


@contextlib.contextmanager
def partner_sink(*, tls: ssl.SSLContext | None = None) -> Iterator[PartnerSink]:
    """Run a partner's server in a thread; with a context it speaks TLS."""
    sink = PartnerSink(tls=tls)
    sink.start()
    try:
        yield sink
    finally:
        sink.close()
