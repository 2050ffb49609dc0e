"""One watcher: its place, its window, its lag, and the task that writes to it."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from typing import TYPE_CHECKING

import django.db
from django.utils import timezone

from livereferrals import conf
from livereferrals.events import wire
from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol, reading
from livereferrals.streaming.pacing import Bucket, Window
from livereferrals.streaming.resuming import Place

if TYPE_CHECKING:
    from livereferrals.streaming.admission import Admission
    from livereferrals.streaming.frames import Frame, Selection, Stream
    from livereferrals.streaming.hub import Hub
    from livereferrals.streaming.sockets import Socket
    from livereferrals.streaming.tokens import Grant

logger = logging.getLogger(__name__)

SPREAD = 0.1
"""Heartbeats and ages vary by this part, so that clients which connected together do not act together."""
RATE_BURST = 4
"""A client that does not acknowledge may get this many seconds of its rate at once."""
END_WITHIN_S = 5.0
"""How long a watcher whose client does not read may take to say why it ends."""
AGE_RETRY_S = 10.0
PLANNED = frozenset({"restart", "max_age"})


class Watcher:
    """Writes one reader's events, from the hub's stream while it keeps up and from the log while it does not.

    It never holds more than one piece of history, and nothing at all while its reader's window is full.
    """

    def __init__(self, *, hub: Hub, socket: Socket, admission: Admission) -> None:
        limits = conf.settings.FEED_LIMITS
        now = time.monotonic()
        self.grant: Grant = admission.grant
        self.selection: Selection = admission.selection
        self.epoch = admission.bounds.epoch
        self.position = admission.start.cursor.seq
        """Everything up to here has been sent, or is not for this reader."""
        self.told = self.position
        """The last cursor that the reader was given."""
        self._hub = hub
        self._socket = socket
        self._limits = limits
        self._window = (
            Window(max_events=limits.window_events, max_bytes=limits.window_bytes) if admission.acks else None
        )
        self._pace = Bucket(rate=limits.rate_bytes_s, burst=limits.rate_bytes_s * RATE_BURST, now=now)
        self._history: deque[Frame] = deque()
        self._is_live = False
        self._woken = asyncio.Event()
        self._ending: FeedError | None = None
        self._heard_at = now
        self._full_since: float | None = None
        self._sent_at = now
        self._heartbeat = conf.settings.FEED_HEARTBEAT.total_seconds() * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spread, no secret
        age = conf.settings.FEED_MAX_AGE.total_seconds()
        self._ends_at = now + age * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spread, no secret
        self._writer: asyncio.Task[None] | None = None

    # --- from outside ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Have it look whether there is something to send."""
        self._woken.set()

    def end(self, problem: FeedError) -> None:
        """Have it tell its reader why, and close. The first reason counts."""
        if self._ending is not None:
            return
        self._ending = problem
        self._woken.set()
        if self._writer is not None:
            # A reader that takes nothing in would hold the writer in its send for ever.
            asyncio.get_running_loop().call_later(END_WITHIN_S, self._writer.cancel)

    @property
    def is_ending(self) -> bool:
        """Whether its end has been decided."""
        return self._ending is not None

    @property
    def cursor(self) -> Cursor:
        """The last cursor that the reader was given."""
        return Cursor(self.epoch, self.told)

    def hear(self) -> None:
        """Note that the reader has said something."""
        self._heard_at = time.monotonic()

    def acknowledge(self, cursor: Cursor) -> None:
        """Take an acknowledgement; an old one is ignored, and one from a reader that is paced changes nothing.

        Raises:
            FeedError: `protocol_error`, it is of something that was never sent.
        """
        if cursor.epoch != self.epoch or cursor.seq > self.told:
            raise FeedError("protocol_error", f"{cursor} has not been sent on this connection.")
        if self._window is not None and self._window.acknowledge(cursor.seq):
            self._full_since = None
            self._woken.set()

    # --- the writer ------------------------------------------------------------------------------------------------------

    async def run(self, stream: Stream) -> None:
        """Send until the end, then say why."""
        self._writer = asyncio.current_task()
        try:
            while self._ending is None and self._socket.is_open:
                await self._step(stream)
        except FeedError as problem:
            self._ending = self._ending or problem
        except django.db.Error:
            logger.warning("A watcher could not read the log.", exc_info=True, extra={"action": "watcher.away"})
            self._ending = self._ending or FeedError("unavailable", "The event log cannot be read at the moment.")
        except Exception:  # one watcher must not take others with it, nor its client's place
            logger.exception("A watcher failed.", extra={"action": "watcher.failed"})
            self._ending = self._ending or FeedError("resync", "The server lost its place; connect again.")
        if self._ending is not None:
            await self._say_end(self._ending)

    async def _say_end(self, problem: FeedError) -> None:
        if problem.code in PLANNED:
            await self._socket.take_leave(problem.code, retry_after_s=problem.retry_after_s or 0)
            return
        await self._socket.refuse(problem)

    async def _step(self, stream: Stream) -> None:
        """Send one frame, or wait until something has changed."""
        self._woken.clear()
        self._check_deadlines(time.monotonic())
        frame = await self._next(stream)
        if frame is None:
            if not self._is_live:
                await self._say_caught_up()
            await self._rest(stream, math.inf)
        elif (pause := self._pause_before(frame)) > 0:
            await self._rest(stream, pause)
        else:
            await self._send_frame(frame)

    async def _next(self, stream: Stream) -> Frame | None:
        """Return what comes next for the reader; nothing when it has everything that the hub has seen."""
        while not self._history:
            if stream.reaches_back_to(self.position):
                frame = stream.after(self.position)
                if frame is None or frame.first > self.position:
                    return frame
                # The reader's place lies inside this frame: what follows is read anew, so that nothing comes twice.
                await self._read_log(upto=frame.cursor)
            else:
                self._is_live = False
                await self._read_log(upto=self._hub.position)
        return self._history[0]

    async def _read_log(self, *, upto: int) -> None:
        found = await reading.in_pool(reading.history, self.selection, after=self.position, upto=upto, prev=self.told)
        if found.bounds.epoch != self.epoch:
            raise FeedError("resync", "The event log has changed; connect again with your cursor.")
        if found.bounds.oldest > self.position:
            raise Place(epoch=self.epoch, head=found.bounds.head, oldest=found.bounds.oldest).too_old()
        self._history.extend(found.frames)
        if not found.frames:
            self.position = found.upto

    async def _send_frame(self, frame: Frame) -> None:
        if frame.prev > self.told:
            # What lies between was not for this reader; it must hear so, or it would take this for a hole.
            await self._say_position(self.position)
        await self._socket.send(frame.text)
        now = self._sent_at = time.monotonic()
        if self._history:
            self._history.popleft()
        self.position = self.told = frame.cursor
        if self._window is not None:
            self._window.add(cursor=frame.cursor, events=frame.count, size=len(frame.text))
        else:
            self._pace.take(len(frame.text), now=now)

    async def _say_caught_up(self) -> None:
        if self.told < self.position:
            await self._say_position(self.position)
        await self._socket.send(protocol.caught_up(self.cursor))
        self._sent_at = time.monotonic()
        self._is_live = True

    async def _say_position(self, position: int) -> None:
        """Send a heartbeat, which moves the reader's cursor."""
        cursor = Cursor(self.epoch, position)
        await self._socket.send(protocol.heartbeat(prev=self.cursor, cursor=cursor, time=wire.rfc3339(timezone.now())))
        self._sent_at = time.monotonic()
        self.position = self.told = position

    # --- time ------------------------------------------------------------------------------------------------------------

    def _pause_before(self, frame: Frame) -> float:
        """Return the seconds to wait before sending the frame; for ever while the window is full, until an ack."""
        now = time.monotonic()
        if self._window is None:
            return self._pace.wait(len(frame.text), now=now)
        if self._window.fits(events=frame.count, size=len(frame.text)):
            return 0
        self._full_since = self._full_since or now
        self._history.clear()
        return math.inf

    async def _rest(self, stream: Stream, pause: float) -> None:
        """Wait for a wake-up, `pause` or the next duty."""
        now = time.monotonic()
        heartbeat_at = self._sent_at + self._heartbeat
        try:
            async with asyncio.timeout(min(now + pause, heartbeat_at, *self._deadlines()) - now):
                await self._woken.wait()
        except TimeoutError:
            if time.monotonic() >= heartbeat_at:
                await self._say_position(self._settled(stream))

    def _settled(self, stream: Stream) -> int:
        """Return up to where the reader has everything.

        The stream is asked, for the hub's place alone would be too far: it moves before each watcher has been woken.
        """
        has_all = stream.reaches_back_to(self.position) and stream.after(self.position) is None
        return max(self.position, self._hub.position) if has_all else self.position

    def _deadlines(self) -> tuple[float, float, float]:
        """Return when it ends by age, by silence, and by a window that stays full."""
        if self._window is None:
            return self._ends_at, math.inf, math.inf
        full_since = math.inf if self._full_since is None else self._full_since
        return (
            self._ends_at,
            self._heard_at + self._limits.silence_timeout_s,
            full_since + self._limits.ack_timeout_s,
        )

    def _check_deadlines(self, now: float) -> None:
        aged, silent, full = self._deadlines()
        if now >= aged:
            raise FeedError(
                "max_age",
                "This connection is old; connect again.",
                retry_after_s=random.uniform(0, AGE_RETRY_S),  # noqa: S311 - spread, no secret
            )
        if now >= silent:
            raise FeedError("slow_consumer", f"Nothing heard for {self._limits.silence_timeout_s} s.")
        if now >= full:
            raise FeedError("slow_consumer", f"Nothing acknowledged for {self._limits.ack_timeout_s} s.")
