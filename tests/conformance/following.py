"""The client's rule (feed protocol, 5.2), kept strictly: a server that breaks it fails the test at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

WITHIN_S = 60.0
SLACK_S = 15.0
"""What a busy machine adds to a time that is promised."""
"""How long a server may take for anything that the protocol does not bound more tightly."""

Message = dict[str, Any]

ENDINGS = {
    "restart": (4000, 503),
    "resync": (4001, None),
    "slow_consumer": (4008, None),
    "unavailable": (4009, 503),
    "max_age": (4010, None),
    "rate_limited": (4029, 429),
    "too_many_connections": (4029, 429),
    "protocol_error": (4500, 400),
    "unauthorized": (4501, 401),
    "token_expired": (4501, 401),
    "token_revoked": (4501, 401),
    "token_in_url": (4501, 401),
    "ticket_used": (4501, 401),
    "forbidden": (4503, 403),
    "unsupported_version": (4505, 400),
    "cursor_too_old": (4510, 410),
    "other_epoch": (4511, 410),
    "cursor_in_future": (4512, 409),
    "bad_cursor": (4513, 400),
    "bad_request": (4514, 400),
}
"""Close code and HTTP status of each code: the protocol's table, written a second time on purpose."""


def seq(cursor: str) -> int:
    """Return the number of a cursor."""
    return int(cursor.rpartition(".")[2])


class Ended(Exception):  # noqa: N818 - an outcome, which most tests wait for
    """The server ended the connection, or refused it."""

    def __init__(self, problem: Message | None, *, close: int | None = None, status: int | None = None) -> None:
        super().__init__(f"{problem} close={close} status={status}")
        self.problem = problem or {}
        """The last `error` or `goodbye` message, or the body of the HTTP answer."""
        self.close = close
        """WebSocket close code; 1006 where the server sent none."""
        self.status = status
        """HTTP status."""
        self.headers: dict[str, str] = {}
        """Headers of the HTTP answer, by lower-case name."""

    @property
    def code(self) -> str:
        """The protocol's word for what happened."""
        return str(self.problem.get("code", ""))

    def is_as_promised(self) -> bool:
        """Whether close code or status, `close` and `retry` are those that the protocol's table has for the code."""
        close, status = ENDINGS[self.code]
        told = (self.problem["close"], self.problem["retry"]) == (close, close < 4500)
        found = self.close == close if self.close is not None else self.status == status or self.problem.get("stream")
        return bool(told and found)


@dataclass
class Reader:
    """One reader of the feed, whatever its transport."""

    position: str = ""
    events: list[Message] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    async def next_message(self) -> Message:
        """Return the next message from the server.

        Raises:
            Ended: there is none any more.
        """
        raise NotImplementedError

    async def handled(self, message: Message) -> None:
        """Do what follows on a message that carries a cursor."""

    async def receive(self, *, within_s: float = WITHIN_S) -> Message:
        """Return the next message, after the rule was applied to it."""
        async with asyncio.timeout(within_s):
            message = await self.next_message()
        self.messages.append(message)
        if message["type"] == "hello":
            self.position = message["cursor"]
        elif message["type"] in {"events", "heartbeat"}:
            self._follow(message)
            await self.handled(message)
        return message

    def _follow(self, message: Message) -> None:
        assert seq(message["prev"]) <= seq(self.position), f"a hole between {self.position} and {message['prev']}"
        assert seq(message["cursor"]) >= seq(message["prev"])
        for event in message.get("events", ()):
            assert seq(event["cursor"]) > seq(self.position), "an event came twice, or out of order"
            assert seq(event["cursor"]) <= seq(message["cursor"])
            self.position = event["cursor"]
            self.events.append(event)
        assert seq(message["cursor"]) >= seq(self.position)
        self.position = message["cursor"]

    async def until(self, kind: str, *, within_s: float = WITHIN_S) -> Message:
        """Return the next message of a type."""
        async with asyncio.timeout(within_s):
            while (message := await self.receive(within_s=within_s))["type"] != kind:
                pass
        return message

    async def until_events(self, count: int, *, within_s: float = WITHIN_S) -> list[Message]:
        """Return all events so far once there are `count`."""
        async with asyncio.timeout(within_s):
            while len(self.events) < count:
                await self.receive(within_s=within_s)
        return self.events

    async def ready(self) -> None:
        """Return once everything that had happened before is here."""
        await self.until("caught_up")

    async def until_ended(self, *, within_s: float = WITHIN_S) -> Ended:
        """Return how the server ended it."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    await self.receive(within_s=within_s)
                except Ended as ended:
                    return ended

    def ids(self) -> list[str]:
        """Return the ids of the events so far."""
        return [event["id"] for event in self.events]
