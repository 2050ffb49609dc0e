"""Where a watcher writes: the outlet that each transport brings, and the one of a WebSocket."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from livereferrals.streaming import protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from livereferrals.events.cursors import Cursor
    from livereferrals.exceptions import FeedError

logger = logging.getLogger(__name__)

PLANNED = frozenset({"restart", "max_age"})
"""Ends that are no problem: they begin with a goodbye."""


class Outlet(Protocol):
    """What a watcher needs of a transport. After the end of either side nothing is sent and nothing is raised.

    `send` returns when the transport takes more, so that a reader who is slow holds up its own watcher and no other.
    """

    @property
    def is_open(self) -> bool:
        """Whether a message may still arrive."""

    async def send(self, text: str, *, kind: str, cursor: Cursor) -> None:
        """Send one message: JSON of that `type`, after which the reader's place is `cursor`."""

    async def refuse(self, problem: FeedError) -> None:
        """Say why in an `error` message, then end with its code."""

    async def take_leave(self, reason: str, *, retry_after_s: float) -> None:
        """Say goodbye and end, for a planned end."""


async def say_end(outlet: Outlet, problem: FeedError) -> None:
    """Say why it ends, in the words for that, and end."""
    if problem.code in PLANNED:
        await outlet.take_leave(problem.code, retry_after_s=problem.retry_after_s or 0)
    else:
        await outlet.refuse(problem)


class Socket:
    """The sending side of an ASGI WebSocket, on servers that differ in what they do once the client is gone."""

    __slots__ = ("_send", "is_open")

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self.is_open = True
        """Whether a message may still arrive."""

    async def accept(self, subprotocol: str | None) -> None:
        """Accept the connection."""
        await self._give({"type": "websocket.accept", "subprotocol": subprotocol})

    async def send(self, text: str, *, kind: str, cursor: Cursor) -> None:
        """Send one text frame."""
        await self._give({"type": "websocket.send", "text": text})

    async def close(self, code: int) -> None:
        """Close with a code; daphne knows 1000 and 3000 to 4999 only."""
        await self._give({"type": "websocket.close", "code": code})
        self.is_open = False

    async def refuse(self, problem: FeedError) -> None:
        """Say why in an `error` message, then close with its code: the close's own reason may never arrive."""
        await self._give({"type": "websocket.send", "text": protocol.error(problem)})
        await self.close(protocol.ENDINGS[problem.code].close)

    async def take_leave(self, reason: str, *, retry_after_s: float) -> None:
        """Say goodbye and close, for a planned end."""
        text = protocol.goodbye(reason=reason, retry_after_s=retry_after_s)
        await self._give({"type": "websocket.send", "text": text})
        await self.close(protocol.ENDINGS[reason].close)

    async def _give(self, message: dict[str, Any]) -> None:
        if not self.is_open:
            return
        try:
            await self._send(message)
        # ASGI asks servers for an OSError once the client is gone; some raise RuntimeError, daphne is silent.
        except (OSError, RuntimeError):
            self.is_open = False
            logger.debug("The client was gone before %s.", message["type"], exc_info=True)
