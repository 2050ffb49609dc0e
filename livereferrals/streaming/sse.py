"""Server-Sent Events: one watcher whose outlet is the body of an HTTP response (feed protocol, 11)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol
from livereferrals.streaming.entrance import watching
from livereferrals.streaming.greeting import hello
from livereferrals.streaming.hub import get_hub
from livereferrals.streaming.watchers import Watcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from livereferrals.events.cursors import Cursor
    from livereferrals.streaming.admission import Admission
    from livereferrals.streaming.frames import Stream

RETRY_MS: Final = (1000, 5000)
"""Bounds of the pause that a browser is asked to make before it comes back."""
MOST_BYTES: Final = 16 * 2**20
"""Length of one response: daphne takes whatever it is given, and nobody sees there whether the client reads. A client
that does comes back at once with its cursor; for one that does not, no more than this is ever held."""


class Outlet:
    """Hands a watcher's messages to the response, one at a time: the next is taken when that one has gone out."""

    def __init__(self) -> None:
        self.is_open = True
        self.on_full: Callable[[], None] = lambda: None
        """Called once, when the response is as long as one may become."""
        self._room = MOST_BYTES
        self._chunk: bytes | None = None
        self._given = asyncio.Event()
        self._taken = asyncio.Event()

    async def send(self, text: str, *, kind: str, cursor: Cursor) -> None:
        """Hand one message over as an event that has the cursor as its id."""
        await self._give(f"event: {kind}\nid: {cursor}\ndata: {text}\n\n")

    async def refuse(self, problem: FeedError) -> None:
        """Say why, as `problem` (the browser has an `error` of its own), and end."""
        await self._give(f"event: problem\ndata: {protocol.error(problem)}\n\n")
        self.shut()

    async def take_leave(self, reason: str, *, retry_after_s: float) -> None:
        """Say goodbye, and end."""
        text = protocol.goodbye(reason=reason, retry_after_s=retry_after_s)
        # A browser does not know the message, but waits as long as this before it comes back.
        await self._give(f"event: goodbye\nretry: {RETRY_MS[0] + round(retry_after_s * 1000)}\ndata: {text}\n\n")
        self.shut()

    def shut(self) -> None:
        """Take no more; what was handed over last still goes out."""
        self.is_open = False
        self._given.set()

    async def take(self) -> bytes | None:
        """Return the next chunk of the body, or nothing at its end."""
        while self._chunk is None:
            if not self.is_open:
                return None
            self._given.clear()
            await self._given.wait()
        chunk, self._chunk = self._chunk, None
        self._taken.set()
        return chunk

    async def _give(self, text: str) -> None:
        while self.is_open and self._chunk is not None:
            self._taken.clear()
            await self._taken.wait()
        if self.is_open:
            self._chunk = text.encode()
            self._given.set()
            self._note_length(len(self._chunk))

    def _note_length(self, length: int) -> None:
        had_room = self._room > 0
        self._room -= length
        if had_room and self._room <= 0:
            self.on_full()


class EventStream:
    """The body of one response. Nothing is held before it is read, and nothing after the response is closed."""

    def __init__(self, admission: Admission) -> None:
        # Nobody can acknowledge here: whoever asks for it is paced like all others.
        self._admission = replace(admission, acks=False)
        self._outlet = Outlet()
        self._serving: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give the chunks, while a task of its own serves the watcher."""
        self._loop = asyncio.get_running_loop()
        self._serving = self._loop.create_task(self._serve())
        self._serving.add_done_callback(lambda _: self._outlet.shut())
        try:
            yield b"retry: %d\n\n" % random.randint(*RETRY_MS)  # noqa: S311 - spread, no secret
            while (chunk := await self._outlet.take()) is not None:
                yield chunk
        finally:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)

    def close(self) -> None:
        """End it; Django calls this from a thread, also where the client went away in the middle of a chunk."""
        if self._loop is not None and self._serving is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and all that ran on it
                self._loop.call_soon_threadsafe(self._serving.cancel)

    async def _serve(self) -> None:
        hub, outlet, admission = get_hub(), self._outlet, self._admission
        watcher = Watcher(hub=hub, outlet=outlet, admission=admission)
        outlet.on_full = lambda: watcher.end(FeedError("max_age", "This response is long; connect again."))
        try:
            async with watching(hub, watcher, admission) as stream:
                await outlet.send(hello(admission), kind="hello", cursor=admission.start.cursor)
                await write_to_the_end(watcher, stream)
        except FeedError as problem:
            # Places and hub were free a moment ago, when the status was sent.
            await outlet.refuse(problem)


async def write_to_the_end(watcher: Watcher, stream: Stream) -> None:
    """Have a watcher write until everything is said."""
    ended = asyncio.get_running_loop().create_future()
    watcher.start(stream, on_end=lambda: None if ended.done() else ended.set_result(None))
    try:
        await ended
    finally:
        await watcher.aclose()
