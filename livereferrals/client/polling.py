"""The feed by long polls (feed protocol, 12), shown as a connection like the others."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from livereferrals.client.connections import CONNECT_TIMEOUT_S, not_a_feed, refusal, unreachable
from livereferrals.client.messages import CaughtUp, Hello, Piece, read

if TYPE_CHECKING:
    from livereferrals.client.connections import Opening
    from livereferrals.client.messages import Message

WAIT_S: Final = 25
PACE_S: Final = 0.3
"""A server takes four polls a second."""


class PollingConnection:
    """A sequence of polls, each from where the one before ended. It greets as a WebSocket does, by its first answer."""

    backlog = 2

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._cursor: str | None = None
        self._messages: deque[Message] = deque()
        self._is_live = False
        self._next_at = time.monotonic()

    async def receive(self) -> Message:
        """Return what an answer says, and ask again when everything of it has been given."""
        while not self._messages:
            await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + PACE_S
            self._take(await self._ask())
        return self._messages.popleft()

    def acknowledge(self, cursor: str) -> None:
        """Say nothing: the next poll's cursor says it."""

    async def reassure(self) -> None:
        """Say nothing: a reader need not."""

    async def aclose(self) -> None:
        """Do nothing: between polls there is no connection, and a running one ends with its task."""

    def _take(self, answer: dict[str, Any] | None) -> None:
        if answer is None:
            self._say_live(self._cursor or "")
            return
        piece = read(answer)
        if not isinstance(piece, Piece):
            raise not_a_feed("the server answered a poll with something else than events")
        if self._cursor is None:
            self._messages.append(_greeting(piece, answer))
        self._cursor = piece.cursor
        self._messages.append(piece)
        if not answer.get("more"):
            self._say_live(piece.cursor)

    def _say_live(self, cursor: str) -> None:
        if not self._is_live:
            self._is_live = True
            self._messages.append(CaughtUp(cursor))

    async def _ask(self) -> dict[str, Any] | None:
        wait = 0 if self._cursor is None else WAIT_S
        credential = self._opening.credential
        parameters = self._opening.parameters
        if self._cursor is not None:
            parameters = {name: value for name, value in parameters.items() if name != "since"}
            parameters |= {"cursor": self._cursor}
        try:
            async with (
                asyncio.timeout(wait + CONNECT_TIMEOUT_S),
                self._opening.session.get(
                    f"{self._opening.address}/poll",
                    params=parameters | credential.parameters() | {"wait": str(wait)},
                    headers=credential.headers() | {"Accept": "application/json"},
                ) as response,
            ):
                return await _decoded(response)
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(error) from error


async def _decoded(response: aiohttp.ClientResponse) -> dict[str, Any] | None:
    """Return the answer's object; nothing where nothing has moved."""
    if response.status == 304:
        return None
    if response.status != 200:
        raise await refusal(response)
    try:
        answer = json.loads(await response.read())
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise not_a_feed("the server answered a poll with something else than JSON")
    return answer


def _greeting(piece: Piece, answer: dict[str, Any]) -> Hello:
    newest = answer.get("newest")
    return Hello(
        cursor=piece.prev,
        newest=newest if isinstance(newest, str) else piece.cursor,
        resume="ok",
        gap=None,
        heartbeat_s=WAIT_S,
    )
