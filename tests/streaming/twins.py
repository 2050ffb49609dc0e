"""Raw clients of the feed over HTTP: what a partner would write from the protocol's document alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from tests.streaming.clients import ANSWER_WITHIN_S, seq

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.servers import HostServer

BASE = "/referrals/feed/v1"


def bearer(token: str | None, **headers: str) -> dict[str, str]:
    """Return request headers with a token, where there is one."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return named if token is None else named | {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer, read whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.text)

    @property
    def told(self) -> tuple[int, str]:
        """Return the status and the error's code, having checked that the error is whole."""
        error = self.json
        assert error.keys() == {
            "type",
            "code",
            "message",
            "close",
            "retry",
            "retry_after_s",
            "oldest",
            "newest",
        }
        assert error["type"] == "error"
        assert self.headers["Content-Type"] == "application/json"
        return self.status, error["code"]


async def ask(
    server: HostServer, name: str, token: str | None = None, *, method: str = "GET", headers: Any = None, **query: Any
) -> Answer:
    """Make one request of the feed."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(
            method,
            server.url(f"{BASE}/{name}"),
            params=query,
            headers=bearer(token) | (headers or {}),
            timeout=aiohttp.ClientTimeout(total=50),
        ) as response,
    ):
        return Answer(status=response.status, headers=response.headers, text=await response.text())


@dataclass
class EventSource:
    """One stream of Server-Sent Events, which keeps the client's rule (feed protocol, 5.2)."""

    response: aiohttp.ClientResponse
    position: str = ""
    last_id: str = ""
    retry_ms: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def block(self, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, str]:
        """Return the fields of the next block; nothing at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(timeout_s):
            while line := (await self.response.content.readline()).decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                assert name not in fields, "JSON stands in one line"
                fields[name] = value
        return fields

    async def receive(self, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, Any] | None:
        """Return the next message, noting what it carries; nothing at the end."""
        fields = await self.block(timeout_s=timeout_s)
        if "retry" in fields and "data" not in fields:
            self.retry_ms = int(fields["retry"])
            fields = await self.block(timeout_s=timeout_s)
        if not fields:
            return None
        message: dict[str, Any] = json.loads(fields["data"])
        assert fields["event"] == ("problem" if message["type"] == "error" else message["type"])
        self.messages.append(message)
        self.last_id = fields.get("id", self.last_id)
        if message["type"] not in {"error", "goodbye"}:
            assert fields["id"] == message["cursor"]
            self._follow(message)
        return message

    def _follow(self, message: dict[str, Any]) -> None:
        if message["type"] == "hello":
            self.position = message["cursor"]
        assert seq(message.get("prev", self.position)) <= seq(self.position), "a hole"
        for event in message.get("events", ()):
            assert seq(self.position) < seq(event["cursor"]) <= seq(message["cursor"]), "an event came twice"
            self.position = event["cursor"]
            self.events.append(event)
        assert seq(message["cursor"]) >= seq(self.position)
        self.position = message["cursor"]

    async def until(self, kind: str, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
        """Return the next message of a type, handling those before it."""
        async with asyncio.timeout(timeout_s):
            while (message := await self.receive(timeout_s=timeout_s)) is not None:
                if message["type"] == kind:
                    return message
        raise AssertionError(f"The stream ended before {kind}: {self.messages[-1:]}.")

    async def until_events(self, count: int, *, timeout_s: float = ANSWER_WITHIN_S) -> list[dict[str, Any]]:
        """Return all events so far once there are `count`."""
        async with asyncio.timeout(timeout_s):
            while len(self.events) < count:
                assert await self.receive(timeout_s=timeout_s) is not None
        return self.events

    async def ending(self, *, timeout_s: float = ANSWER_WITHIN_S) -> dict[str, Any] | None:
        """Return the last message, when the stream has ended."""
        async with asyncio.timeout(timeout_s):
            while await self.receive(timeout_s=timeout_s) is not None:
                pass
        return self.messages[-1] if self.messages else None


@contextlib.asynccontextmanager
async def event_source(
    server: HostServer, token: str | None = None, *, headers: Any = None, **query: Any
) -> AsyncIterator[EventSource]:
    """Connect to the stream of events: `async with event_source(server, token, cursor="oldest") as client`."""
    async with (
        aiohttp.ClientSession(auto_decompress=False, read_bufsize=2**20) as session,
        session.get(
            server.url(f"{BASE}/sse"),
            params=query,
            headers=bearer(token) | (headers or {}),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as response,
    ):
        assert response.status == 200, await response.text()
        yield EventSource(response)


async def poll_all(server: HostServer, token: str, *, cursor: str, count: int, **query: Any) -> list[dict[str, Any]]:
    """Poll from a cursor on until `count` events have come, keeping the client's rule."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(50):
        while len(found) < count:
            answer = await ask(server, "poll", token, cursor=cursor, **query)
            assert answer.status == 200, answer.text
            page = answer.json
            assert cursor == "oldest" or seq(page["prev"]) <= seq(cursor), "a hole"
            assert answer.headers["ETag"] == f'"{page["cursor"]}"'
            found += page["events"]
            cursor = page["cursor"]
    cursors = [seq(event["cursor"]) for event in found]
    assert cursors == sorted(set(cursors)), "an event came twice or too late"
    return found
