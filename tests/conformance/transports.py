"""The feed over each transport, spoken by hand: WebSocket, Server-Sent Events, long poll."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.conformance.following import Ended, Message, Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

PROTOCOL = "livereferrals.v1"
POLL_WAIT_S = 5


@dataclass(frozen=True, kw_only=True)
class Call:
    """How a reader presents itself."""

    base: str
    """Address up to and including `feed/v1`."""
    token: str | None = None
    headers: Sequence[tuple[str, str]] = ()
    subprotocols: Sequence[str] = (PROTOCOL,)
    query: str | None = None
    """The query string as it is; else it is made from `parameters`."""
    parameters: Mapping[str, object] = field(default_factory=dict)

    def address(self, name: str, **more: object) -> str:
        """Return the address of an endpoint with the parameters."""
        query = urlencode({**self.parameters, **more}) if self.query is None else self.query
        return f"{self.base}/{name}?{query}"

    def all_headers(self) -> list[tuple[str, str]]:
        """Return the headers, the token's among them."""
        own = [] if self.token is None else [("Authorization", f"Bearer {self.token}")]
        return [*self.headers, *own]


@dataclass
class Socket(Reader):
    """A WebSocket."""

    connection: ClientConnection | None = None
    acks: bool = False
    """Whether it acknowledges what it gets."""

    @property
    def wire(self) -> ClientConnection:
        """The connection itself."""
        assert self.connection is not None
        return self.connection

    async def next_message(self) -> Message:
        """Return the next message."""
        try:
            text = await self.wire.recv(decode=True)
        except ConnectionClosed as closed:
            last = self.messages[-1] if self.messages else None
            problem = last if last and last["type"] in {"error", "goodbye"} else None
            raise Ended(problem, close=closed.rcvd.code if closed.rcvd else 1006) from None
        message: Message = json.loads(text)
        return message

    async def handled(self, message: Message) -> None:
        """Acknowledge."""
        if self.acks:
            await self.say({"type": "ack", "cursor": message["cursor"]})

    async def say(self, message: object) -> None:
        """Send a JSON message."""
        await self.wire.send(json.dumps(message))


@dataclass
class EventStream(Reader):
    """A stream of server-sent events, parsed as the HTML standard says."""

    content: aiohttp.StreamReader | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_ms: int | None = None

    async def next_message(self) -> Message:
        """Return the next message; `problem` is how an error is called here."""
        assert self.content is not None
        fields: dict[str, str] = {}
        while True:
            try:
                raw = await self.content.readuntil(b"\n")
            except (asyncio.IncompleteReadError, aiohttp.ClientError):
                raise self._ended() from None
            if not raw:
                raise self._ended()
            line = raw.decode().rstrip("\r\n")
            if not line and "data" in fields:
                return self._message(fields)
            name, _, value = line.partition(":")
            if name == "retry":
                self.retry_ms = int(value)
            elif name:
                fields[name] = value.removeprefix(" ")

    def _message(self, fields: dict[str, str]) -> Message:
        message: Message = json.loads(fields["data"])
        name = "problem" if message["type"] == "error" else message["type"]
        assert fields["event"] == name
        if "cursor" in message:
            assert fields["id"] == message["cursor"]
        return message

    def _ended(self) -> Ended:
        last = self.messages[-1] if self.messages else None
        problem = {**last, "stream": True} if last and last["type"] in {"error", "goodbye"} else None
        return Ended(problem)


@dataclass
class Polling(Reader):
    """A long poll, asked again and again from its cursor."""

    session: aiohttp.ClientSession | None = None
    call: Call | None = None

    async def ask(self, **parameters: object) -> tuple[Message | None, aiohttp.ClientResponse]:
        """Make one request; 304 has no message.

        Raises:
            Ended: it was refused.
        """
        assert self.session is not None
        assert self.call is not None
        address = self.call.address("poll", **parameters)
        async with self.session.get(address, headers=self.call.all_headers(), allow_redirects=False) as answer:
            if answer.status == 304:
                return None, answer
            message: Message = json.loads(await answer.text())
            if answer.status != 200:
                raise refusal(message, answer)
            return message, answer

    async def next_message(self) -> Message:
        """Return what comes next."""
        message, _answer = await self.ask(cursor=self.position, wait=POLL_WAIT_S)
        assert message is not None
        return message

    async def ready(self) -> None:
        """A poll is always where it has asked from."""


def refusal(problem: Message | None, answer: aiohttp.ClientResponse) -> Ended:
    """Return the refusal that an HTTP answer is."""
    ended = Ended(problem, status=answer.status)
    ended.headers = {name.lower(): value for name, value in answer.headers.items()}
    return ended


@contextlib.asynccontextmanager
async def websocket(call: Call) -> AsyncIterator[Socket]:
    """Open a WebSocket and wait for `hello`."""
    async with connect(
        call.address("ws").replace("http", "ws", 1),
        additional_headers=list(call.all_headers()),
        subprotocols=[Subprotocol(name) for name in call.subprotocols] or None,
        user_agent_header=None,
        compression=None,
        max_size=2**20,
        proxy=None,
    ) as connection:
        reader = Socket(connection=connection, acks=str(call.parameters.get("ack")) == "1")
        if (await reader.receive())["type"] == "error":
            raise await reader.until_ended()
        yield reader


@contextlib.asynccontextmanager
async def event_stream(call: Call) -> AsyncIterator[EventStream]:
    """Open a stream and wait for `hello`."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
        session.get(call.address("sse"), headers=call.all_headers(), allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise refusal(json.loads(await answer.text()), answer)
        reader = EventStream(content=answer.content, headers=answer.headers)
        await reader.receive()
        yield reader


@contextlib.asynccontextmanager
async def long_poll(call: Call) -> AsyncIterator[Polling]:
    """Ask once, to be let in and to learn the cursor."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        reader = Polling(session=session, call=call)
        message, _answer = await reader.ask(wait=0)
        assert message is not None
        reader.messages.append(message)
        reader.position = message["prev"]
        reader._follow(message)
        stay = {name: value for name, value in call.parameters.items() if name not in {"cursor", "since"}}
        reader.call = Call(base=call.base, token=call.token, headers=call.headers, parameters=stay)
        yield reader


OPENERS: dict[str, Any] = {"ws": websocket, "sse": event_stream, "poll": long_poll}
