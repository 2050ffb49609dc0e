"""A raw client of the feed: what a partner would write from the protocol's document alone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.servers import HostServer

PATH = "/referrals/feed/v1/ws"
PROTOCOL = "livereferrals.v1"
ANSWER_WITHIN_S = DEADLINE_S
OUR_CODE = "livereferrals/"
"""In a server's output: a traceback went through our code. (uvicorn prints one of its own for bad UTF-8.)"""


def seq(cursor: str) -> int:
    """Return the number of a cursor."""
    return int(cursor.rpartition(".")[2])


@dataclass
class RawFeed:
    """One connection, which keeps the client's rule (feed protocol, 5.2) and fails where the server breaks it."""

    socket: ClientConnection
    position: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    acks: bool = False

    async def receive(self, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
        """Return the next message, noting what it carries."""
        async with asyncio.timeout(timeout_s):
            text = await self.socket.recv(decode=True)
        message: dict[str, Any] = json.loads(text)
        self.messages.append(message)
        if message["type"] == "hello":
            self.position = message["cursor"]
        elif message["type"] in {"events", "heartbeat"}:
            await self._follow(message)
        return message

    async def _follow(self, message: dict[str, Any]) -> None:
        assert seq(message["prev"]) <= seq(self.position), f"a hole before {message['prev']}"
        for event in message.get("events", ()):
            assert seq(event["cursor"]) > seq(self.position), "an event came twice"
            assert seq(event["cursor"]) <= seq(message["cursor"])
            self.position = event["cursor"]
            self.events.append(event)
        assert seq(message["cursor"]) >= seq(self.position)
        self.position = message["cursor"]
        if self.acks:
            await self.say({"type": "ack", "cursor": self.position})

    async def say(self, message: object) -> None:
        """Send a JSON message."""
        await self.socket.send(json.dumps(message))

    async def until(self, kind: str, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
        """Return the next message of a type, handling those before it."""
        async with asyncio.timeout(timeout_s):
            while (message := await self.receive(timeout_s=timeout_s))["type"] != kind:
                pass
        return message

    async def until_events(self, count: int, *, timeout_s: float = ANSWER_WITHIN_S) -> list[dict[str, Any]]:
        """Return all events so far once there are `count`."""
        async with asyncio.timeout(timeout_s):
            while len(self.events) < count:
                await self.receive(timeout_s=timeout_s)
        return self.events

    async def ending(self) -> tuple[dict[str, Any] | None, int]:
        """Return the last `error` or `goodbye` message, if there is one, and the close code."""
        last = None
        try:
            while True:
                message = await self.receive()
                last = message if message["type"] in {"error", "goodbye"} else None
        except ConnectionClosed as closed:
            return last, closed.rcvd.code if closed.rcvd is not None else 1006


class feed:  # noqa: N801 - used like a function
    """Connect to the feed: `async with feed(server, token, cursor="oldest") as client`."""

    def __init__(
        self,
        server: HostServer,
        token: str | None,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (PROTOCOL,),
        query: str | None = None,
        path: str = PATH,
        **parameters: object,
    ) -> None:
        given = list(headers.items() if hasattr(headers, "items") else headers)
        if token is not None:
            given.append(("Authorization", f"Bearer {token}"))
        search = urlencode(parameters) if query is None else query
        self._acks = parameters.get("ack") == 1
        self._connect = connect(
            server.ws_url(f"{path}?{search}"),
            additional_headers=given,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            user_agent_header=None,
            compression=None,
            max_size=2**20,
            proxy=None,
        )

    async def __aenter__(self) -> RawFeed:
        return RawFeed(await self._connect.__aenter__(), acks=self._acks)

    async def __aexit__(self, *details: Any) -> None:
        await self._connect.__aexit__(*details)
