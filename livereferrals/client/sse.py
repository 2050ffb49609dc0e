"""The feed over Server-Sent Events (feed protocol, 11)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import aiohttp

from livereferrals.client.connections import MAX_MESSAGE_BYTES, not_a_feed, refusal, unreachable
from livereferrals.client.errors import Breach, Dropped
from livereferrals.client.messages import Goodbye, Problem, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.client.connections import Opening
    from livereferrals.client.messages import Message

LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
"""A carriage return at the end of what has come may be half of a line's end."""


class EventStream:
    """Takes the bytes of an event stream in any pieces, and gives the `data` of its events (WHATWG HTML, 9.2.6)."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Give the data of the events that are complete with this piece.

        Raises:
            Breach: a line without end.
        """
        *lines, self._rest = LINE_END.split(self._rest + chunk)
        if len(self._rest) > MAX_MESSAGE_BYTES:
            raise Breach("the server sent a message without an end")
        for line in lines:
            yield from self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> Iterator[str]:
        name, _, value = line.removeprefix("\ufeff").partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif not line and self._data:
            yield "\n".join(self._data)
            self._data = []


class EventStreamConnection:
    """One response that does not end."""

    backlog = 4
    """The server paces a reader that does not acknowledge by what the network takes, so little is taken in advance."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._stream = EventStream()
        self._texts: Iterator[str] = iter(())
        self._retry_after_s = 0.0

    @classmethod
    async def open(cls, opening: Opening) -> EventStreamConnection:
        """Ask for the stream.

        Raises:
            Dropped: it was refused, or did not work.
        """
        try:
            response = await opening.session.get(
                f"{opening.address}/sse",
                params=opening.parameters | opening.credential.parameters(),
                headers=opening.credential.headers() | {"Accept": "text/event-stream, application/json"},
            )
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(error) from error
        try:
            await _check(response)
        except BaseException:
            response.close()
            raise
        return cls(response)

    async def receive(self) -> Message:
        """Return the next message that is known."""
        while True:
            for text in self._texts:
                message = parse(text)
                if isinstance(message, Problem):
                    raise Dropped(message.message, problem=message, retry_after_s=message.retry_after_s)
                if isinstance(message, Goodbye):
                    self._retry_after_s = message.retry_after_s
                elif message is not None:
                    return message
            self._texts = self._stream.feed(await self._chunk())

    def acknowledge(self, cursor: str) -> None:
        """Say nothing: this transport has no acknowledgements."""

    async def reassure(self) -> None:
        """Say nothing: a reader need not."""

    async def aclose(self) -> None:
        """Hang up."""
        self._response.close()

    async def _chunk(self) -> bytes:
        try:
            chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(error) from error
        if not chunk:
            raise Dropped("the stream ended", retry_after_s=self._retry_after_s)
        return chunk


async def _check(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise await refusal(response)
    if response.content_type != "text/event-stream":
        raise not_a_feed("the server answered with something else than an event stream")
