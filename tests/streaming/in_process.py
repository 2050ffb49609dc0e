"""A WebSocket without a network, for what a test must hold in its hands: a client that does not read."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from livereferrals.streaming.consumers import FeedConsumer
from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PROTOCOL = "livereferrals.v1"
ANSWER_WITHIN_S = DEADLINE_S


def websocket_scope(path: str, *, query: str = "", headers: list[tuple[bytes, bytes]] | None = None) -> dict[str, Any]:
    """Return what a server says of a connection."""
    return {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers or [],
        "subprotocols": [PROTOCOL],
    }


class Connection:
    """Runs an ASGI application for one client. `reading` cleared: the client's TCP window is closed."""

    def __init__(self, application: Callable[..., Awaitable[None]], scope: dict[str, Any]) -> None:
        self.reading = asyncio.Event()
        self.reading.set()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.close_code: int | None = None
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._application = application
        self._scope = scope
        self.task: asyncio.Task[None]

    async def __aenter__(self) -> Connection:
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(self._application(self._scope, self._incoming.get, self._send))
        return self

    async def __aexit__(self, *details: object) -> None:
        self.reading.set()
        if self.close_code is None:
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await asyncio.gather(self.task, return_exceptions=self.task.cancelling() > 0)

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reading.wait()
        if message["type"] == "websocket.close":
            self.close_code = message.get("code", 1000)
            self._incoming.put_nowait({"type": "websocket.disconnect", "code": self.close_code})
        self.sent.put_nowait(message)

    async def receive(self, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
        """Return the next thing that the application did."""
        async with asyncio.timeout(timeout_s):
            return await self.sent.get()

    async def text(self, *, timeout_s: float = ANSWER_WITHIN_S) -> str:
        """Return the next text frame."""
        message = await self.receive(timeout_s=timeout_s)
        while message["type"] == "websocket.accept":
            message = await self.receive(timeout_s=timeout_s)
        found: str = message["text"]
        return found

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next message of the feed of a type."""
        while (message := json.loads(await self.text()))["type"] != kind:
            pass
        found: dict[str, Any] = message
        return found

    def say(self, message: dict[str, Any]) -> None:
        """Send a JSON message."""
        self._incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})


def watching(token: str, **parameters: object) -> Connection:
    """Connect to the feed."""
    headers = [(b"authorization", f"Bearer {token}".encode())]
    scope = websocket_scope("/referrals/feed/v1/ws", query=urlencode(parameters), headers=headers)
    return Connection(FeedConsumer(), scope)
