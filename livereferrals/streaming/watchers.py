"""One watcher: its place, its window, its lag, and what it writes to its reader.

An idle one has no task, only a timer. It writes when it has a turn among all who have something due (`writing`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from typing import TYPE_CHECKING, Any

import django.db
from django.utils import timezone

from livereferrals import conf
from livereferrals.events import wire
from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol, reading, terms
from livereferrals.streaming.alarms import Alarm
from livereferrals.streaming.sockets import say_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.streaming.admission import Admission
    from livereferrals.streaming.frames import Frame, Selection, Stream
    from livereferrals.streaming.hub import Hub
    from livereferrals.streaming.sockets import Outlet

logger = logging.getLogger(__name__)

END_WITHIN_S = 5.0
"""How long a watcher whose client does not read may take to say why it ends."""
AGE_RETRY_S = 10.0


class Watcher:
    """Writes one reader's events, from the hub's stream while it keeps up and from the log while it does not.

    It never holds more than one piece of history, and nothing at all while its reader's window is full.
    """

    __slots__ = (
        "_alarm", "_credit", "_duties", "_ending", "_has_turn", "_history", "_hub", "_is_live", "_is_woken", "_on_end",
        "_outlet", "_stream", "_writing", "acks_earned", "epoch", "grant", "position", "selection", "told"
    )  # fmt: skip

    def __init__(self, *, hub: Hub, outlet: Outlet, admission: Admission) -> None:
        limits = conf.settings.FEED_LIMITS
        now = time.monotonic()
        self.grant = terms.shared_grant(admission.grant)
        self.selection: Selection = admission.selection
        self.epoch = admission.bounds.epoch
        self.position = admission.start.cursor.seq  # everything up to here has been sent, or is not for this reader
        self.told = self.position  # the last cursor that the reader was given
        self.acks_earned = 0
        """Acknowledgements that the reader may have for what it was sent: one for each event, and one for each cursor."""
        self._hub = hub
        self._outlet = outlet
        self._credit = terms.credit_of(limits, now=now, acks=admission.acks)
        self._duties = terms.duties_of(limits, now=now, acks=admission.acks)
        self._history: list[Frame] = []  # read from the log and not yet sent; the next is the last
        self._is_live = False
        self._ending: FeedError | None = None
        self._stream: Stream | None = None
        self._has_turn = False  # or waits for it
        self._writing: asyncio.Task[Any] | None = None  # for it, just now
        self._is_woken = False
        self._alarm = Alarm(self.wake)
        self._on_end: Callable[[], None] | None = None

    def start(self, stream: Stream, *, on_end: Callable[[], None]) -> None:
        """Begin to write; `on_end` is called once, when everything is said and the outlet is closed."""
        self._stream = stream
        self._on_end = on_end
        self.wake()

    async def aclose(self) -> None:
        """Stop writing, whatever is on its way; nothing more is said."""
        self._on_end = None
        self._stream = None
        self._alarm.clear()
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])

    def wake(self) -> None:
        """Have it look whether there is something to send."""
        self._is_woken = True
        if not self._has_turn and self._stream is not None:
            self._has_turn = True
            self._hub.writers.add(self)

    def end(self, problem: FeedError) -> None:
        """Have it tell its reader why, and close. The first reason counts."""
        if self._ending is not None:
            return
        self._ending = problem
        self.wake()
        # A reader that takes nothing in would hold the writing for ever.
        asyncio.get_running_loop().call_later(END_WITHIN_S, lambda: self._writing and self._writing.cancel())

    def depart(self, *, retry_after_s: float) -> None:
        """Have it say goodbye because the process ends, after what is already encoded."""
        self.end(FeedError("restart", "The server restarts; connect again.", retry_after_s=retry_after_s))

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
        now = time.monotonic()
        self._duties.note_heard(now)
        self._credit.hear(now)

    def acknowledge(self, cursor: Cursor) -> None:
        """Take an acknowledgement; an old one is ignored, and one from a reader that is paced changes nothing.

        Raises:
            FeedError: `protocol_error`, it is of something that was never sent.
        """
        if cursor.epoch != self.epoch or cursor.seq > self.told:
            raise FeedError("protocol_error", f"{cursor} has not been sent on this connection.")
        if self._credit.acknowledge(cursor.seq) and self._duties.note_freed():
            self.wake()

    async def write(self, task: asyncio.Task[Any]) -> None:
        """Write what is due, in a task that is to be cancelled where the reader does not take it."""
        stream = self._stream
        if stream is None:  # closed before its turn came
            return
        self._writing = task
        is_over = True
        try:
            is_over = await self._write(stream)
        except Exception:
            logger.exception("A watcher could not say its end.", extra={"action": "watcher.failed"})
        finally:
            self._has_turn = False
            self._writing = None
            if is_over:
                self._finish()
        if self._is_woken:  # since it last looked
            self.wake()

    async def _write(self, stream: Stream) -> bool:
        """Send what is due; return whether that was the end."""
        try:
            if await self._pass_on(stream):
                return False
            while self._ending is None and self._outlet.is_open:
                self._is_woken = False
                due = await self._step(stream)
                if due is not None and not self._is_woken:
                    self._alarm.set(due)
                    return False
        except FeedError as problem:
            self._ending = self._ending or problem
        except django.db.Error:
            logger.warning("A watcher could not read the log.", exc_info=True, extra={"action": "watcher.away"})
            self._ending = self._ending or FeedError("unavailable", "The event log cannot be read at the moment.")
        except Exception:  # one watcher must not take others with it, nor its client's place
            logger.exception("A watcher failed.", extra={"action": "watcher.failed"})
            self._ending = self._ending or FeedError("resync", "The server lost its place; connect again.")
        if self._ending is not None:
            with contextlib.suppress(FeedError):  # it ends in any case
                await self._send_encoded(stream, before=self._ending)
            await say_end(self._outlet, self._ending)
        return True

    def _finish(self) -> None:
        self._alarm.clear()
        self._stream = None
        if (on_end := self._on_end) is not None:
            self._on_end = None
            on_end()

    async def _send_encoded(self, stream: Stream, *, before: FeedError) -> None:
        """Send what needs no reading and no waiting, where the process ends."""
        is_able = before.code == "restart" and self._is_live and not self._history
        while is_able and stream.reaches_back_to(self.position):
            frame = stream.after(self.position)
            if frame is None or frame.first <= self.position or self._pause_before(frame) > 0:
                return
            await self._send_frame(frame)

    async def _pass_on(self, stream: Stream) -> bool:
        """Send the newest frame where it is all that is due, as for most watchers most times; return whether it was."""
        frame = stream.newest_frame
        if frame is None or self._history or self._ending or not self._is_live or not self._outlet.is_open:
            return False
        is_next = frame.prev <= self.told <= self.position < frame.first
        is_quiet = self._alarm.is_set and time.monotonic() < self._duties.next_at()
        if not is_next or not is_quiet or self._pause_before(frame) > 0:
            return False
        self._is_woken = False
        await self._send_frame(frame)
        return not self._is_woken and self._ending is None and stream.newest_frame is frame

    async def _step(self, stream: Stream) -> float | None:
        """Send one frame, or return when to look again."""
        self._duties.check(time.monotonic(), retry_after_s=random.uniform(0, AGE_RETRY_S))  # noqa: S311 - spread
        if self._duties.has_full_window:  # no reading for what cannot be sent
            return await self._rest(stream, math.inf)
        frame = await self._next(stream)
        if frame is None:
            if self._is_live:
                return await self._rest(stream, math.inf)
            await self._say_caught_up()
        elif (pause := self._pause_before(frame)) > 0:
            return await self._rest(stream, pause)
        else:
            await self._send_frame(frame)
        return None

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
        return self._history[-1]

    async def _read_log(self, *, upto: int) -> None:
        found = await reading.next_piece(
            self.selection, epoch=self.epoch, after=self.position, upto=upto, prev=self.told
        )
        self._history = found.frames[::-1]
        if not found.frames:
            self.position = found.upto

    async def _send_frame(self, frame: Frame) -> None:
        if frame.prev > self.told:
            # What lies between was not for this reader; it must hear so, or it would take this for a hole.
            await self._say_position(self.position)
        await self._outlet.send(frame.text, kind="events", cursor=frame.end)
        if self._history:
            self._history.pop()
        self.position = self.told = frame.cursor
        self.acks_earned += frame.count + 1
        now = time.monotonic()
        self._duties.note_sent(now)
        self._credit.add(cursor=frame.cursor, events=frame.count, size=len(frame.text), now=now)

    async def _say_caught_up(self) -> None:
        if self.told < self.position:
            await self._say_position(self.position)
        await self._send(protocol.caught_up(self.cursor), kind="caught_up", cursor=self.cursor)
        self._is_live = True

    async def _say_position(self, position: int) -> None:
        """Send a heartbeat, which moves the reader's cursor."""
        cursor = Cursor(self.epoch, position)
        text = protocol.heartbeat(prev=self.cursor, cursor=cursor, time=wire.rfc3339(timezone.now()))
        await self._send(text, kind="heartbeat", cursor=cursor)
        self.position = self.told = position

    async def _send(self, text: str, *, kind: str, cursor: Cursor) -> None:
        await self._outlet.send(text, kind=kind, cursor=cursor)
        self._duties.note_sent(time.monotonic())
        self.acks_earned += 1

    def _pause_before(self, frame: Frame) -> float:
        """Return the seconds to wait before sending the frame; for ever while the window is full, until an ack."""
        now = time.monotonic()
        pause = self._credit.wait(events=frame.count, size=len(frame.text), now=now)
        if pause == math.inf:
            self._duties.note_full(now)
            self._history = []
        return pause

    async def _rest(self, stream: Stream, pause: float) -> float:
        """Return when to look again without a wake-up: after `pause`, or at the next duty; a heartbeat is said here."""
        now = time.monotonic()
        if self._duties.owes_heartbeat(now):
            await self._say_position(stream.settled(self.position, upto=self._hub.position))
        return min(now + pause, self._duties.next_at())
