"""The hub: the one object in a process and event loop that reads new events and wakes those who follow them.

    stop = hub.follow(lambda bounds: ...)       # called on the loop whenever the log's head has moved
    stop()

It runs while somebody follows it. Each look at the log reads everything new, encodes it once for each selection, and
leaves it in that selection's `Stream`; watchers take it from there at their own pace, so that none can hold the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import django.db

from livereferrals import conf
from livereferrals.events import hints
from livereferrals.events.fresh import fresh
from livereferrals.exceptions import FeedError
from livereferrals.streaming import reading, revocation
from livereferrals.streaming.draining import get_drain
from livereferrals.streaming.looking import Looking
from livereferrals.streaming.stays import Stay
from livereferrals.streaming.streams import Streams
from livereferrals.streaming.writing import Writers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from livereferrals.events.log import Bounds
    from livereferrals.streaming.frames import Stream
    from livereferrals.streaming.streams import Watching

logger = logging.getLogger(__name__)

PATIENCE = 2
"""Failed looks in a row after which the watchers are told: the first may be a connection that a restart has cut."""
SLICE = 200
"""Watchers woken before other work on the loop gets its turn."""


class Hub:
    """Reads the log for all watchers and followers of one event loop."""

    def __init__(self) -> None:
        self.bounds: Bounds | None = None
        """The log's bounds at the last look."""
        self.position = 0
        """Everything up to here has been handed out."""
        self.writers = Writers()
        self._streams = Streams()
        self._followers: dict[int, Callable[[Bounds], None]] = {}
        self._next_follower = 0
        self._joining = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = asyncio.Event()
        self._looked = asyncio.Event()
        self._failures = 0
        self._looking = Looking()
        self._looked_at = float("-inf")
        self._wake: Callable[[], None] | None = None

    def follow(self, callback: Callable[[Bounds], None]) -> Callable[[], None]:
        """Call `callback(bounds)` on this loop whenever the head moved or the epoch changed; return what ends it."""
        key = self._next_follower = self._next_follower + 1
        self._followers[key] = callback
        self._start()

        def stop() -> None:
            self._followers.pop(key, None)
            self._end_if_idle()

        return stop

    def watched_by(self, watcher: Watching, *, head: int, until: float) -> Stay:
        """Take a watcher on, as an asynchronous context, and give the stream of its selection, which has reached `head`.

        It waits for that until this time of the loop's clock.

        Raises:
            FeedError: the log cannot be read just now.
        """
        return Stay(self, watcher, head, until)

    async def take_on(self, watcher: Watching, *, head: int, until: float) -> Stream:
        """Begin what `watched_by` does."""
        self._joining += 1
        try:
            self._start()
            await self._reach(head, until=until)
            if self.bounds is None or self.bounds.epoch != watcher.epoch:
                raise _renumbered()
            stream = self._streams.join(watcher, position=self.position)
        finally:
            self._joining -= 1
            self._end_if_idle()
        get_drain().add(watcher)
        return stream

    def let_go(self, watcher: Watching, stream: Stream) -> None:
        """End what `watched_by` does."""
        get_drain().discard(watcher)
        self._streams.leave(watcher, stream)
        self._end_if_idle()

    async def _reach(self, head: int, *, until: float) -> None:
        """Wait until this hub has seen what another process, or the database, already knows of."""
        try:
            async with asyncio.timeout_at(until):
                while self.bounds is None or self.position < head:
                    self._wanted.set()
                    await self._looked.wait()
        except TimeoutError:
            raise FeedError("unavailable", "The event log cannot be read at the moment.", retry_after_s=5) from None

    def watchers(self) -> list[Watching]:
        """Return everyone who watches."""
        return self._streams.watchers()

    def behind(self) -> dict[str, int]:
        """Return, by token id, how many numbers of the log the slowest of its connections is behind."""
        return self._streams.behind()

    def wake(self) -> None:
        """Have the hub look at the log now. Only from its own loop."""
        self._wanted.set()

    @property
    def running(self) -> bool:
        """Whether it reads the log."""
        return bool(self._tasks)

    def _start(self) -> None:
        if self._tasks:
            return
        loop = asyncio.get_running_loop()
        wanted = asyncio.Event()
        wanted.set()

        def wake() -> None:
            # A loop that was closed under a hint of another thread has nobody left to wake.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(wanted.set)

        self._wake = wake
        self._wanted, self._looked = wanted, asyncio.Event()
        self.bounds = None
        hints.add_listener(wake)
        fresh.want()
        for work in (self._read_forever(), hints.receive_forever(), revocation.check_forever(self.watchers)):
            self._hold(work)

    def _hold(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        # A finished one may leave while others run on (`receive_forever` ends at once without a layer).
        task.add_done_callback(self._tasks.discard)

    def _end_if_idle(self) -> None:
        if not self._streams and not self._followers and not self._joining:
            self._end()

    def _end(self) -> list[asyncio.Task[None]]:
        tasks = list(self._tasks)
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if self._wake is not None:
            hints.remove_listener(self._wake)
            fresh.unwant()
            self._wake = None
            # What was waited for holds its loop, and `_hubs` must not.
            self._wanted, self._looked = asyncio.Event(), asyncio.Event()
        return tasks

    async def aclose(self) -> None:
        """End the hub's tasks and wait for them; it starts anew with the next who follows."""
        await asyncio.gather(*self._end(), return_exceptions=True)

    async def _read_forever(self) -> None:
        while True:
            due = await self._wait()
            try:
                found = await self._looking.look(self.bounds, after=self.position, number=due)
            except django.db.Error as error:
                self._missed(error)
                await asyncio.sleep(conf.settings.FEED_POLL_INTERVAL.total_seconds())
                self._wanted.set()
                continue
            self._failures = 0
            self._looked_at = time.monotonic()
            await self._absorb(found)
            if self._looking.is_owed:
                self._wanted.set()

    async def _wait(self) -> bool:
        """Return at the next hint, or after the poll interval; true when nobody hinted.

        A lone hint is answered at once; a burst of them gathers for one twentieth of a second.
        """
        try:
            async with asyncio.timeout(conf.settings.FEED_POLL_INTERVAL.total_seconds()):
                await self._wanted.wait()
        except TimeoutError:
            return True
        pause = self._looked_at + 1 / conf.settings.FEED_LIMITS.frames_s - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        self._wanted.clear()
        return False

    def _missed(self, error: django.db.Error) -> None:
        self._failures += 1
        if self._failures == PATIENCE:
            logger.error("The event log cannot be read.", exc_info=error, extra={"action": "hub.away"})
            self._close_all(FeedError("unavailable", "The event log cannot be read at the moment."))

    async def _absorb(self, found: reading.Look) -> None:
        before, self.bounds = self.bounds, found.bounds
        if before is None:
            self.position = found.bounds.head
        elif self._lost_place(before, found.bounds):
            logger.warning("The event log was renumbered or pruned; watchers start afresh.", extra={"action": "resync"})
            self._close_all(_renumbered())
            self._streams.retire()
            self.position = found.bounds.head
        else:
            if before.revision != found.bounds.revision:
                self._streams.forget_frames()
            await self._hand_out(found)
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()
        if before is None or (before.epoch, before.head) != (found.bounds.epoch, found.bounds.head):
            self._tell_followers(found.bounds)
        if found.numbered:
            hints.notify()
            if hints.crosses_processes():
                await hints.aannounce()
        elif self.position < found.bounds.head:
            self._looked_at = float("-inf")  # a backlog is no burst to wait for
            self._wanted.set()

    def _lost_place(self, before: Bounds, now: Bounds) -> bool:
        return before.epoch != now.epoch or not now.oldest <= self.position <= now.head

    async def _hand_out(self, found: reading.Look) -> None:
        moved = self._streams.take(found.events, keys=found.keys, upto=found.upto)
        self.position = found.upto
        await self._wake_all(moved)

    @staticmethod
    async def _wake_all(watchers: Iterable[Watching]) -> None:
        for count, watcher in enumerate(watchers, start=1):
            watcher.wake()
            if count % SLICE == 0:
                await asyncio.sleep(0)

    def _tell_followers(self, bounds: Bounds) -> None:
        for callback in list(self._followers.values()):
            try:
                callback(bounds)
            except Exception:  # one follower must not stop the hub for the others
                logger.exception("A follower of the hub failed.", extra={"action": "hub.follower_failed"})

    def _close_all(self, error: FeedError) -> None:
        for watcher in self.watchers():
            watcher.end(error)


def _renumbered() -> FeedError:
    return FeedError("resync", "The event log has changed; connect again with your cursor.")


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def get_hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
    return hub


def place_of_process() -> int | None:
    """Return how far the hubs of this process have read; nothing where none runs. From any thread."""
    return max((hub.position for hub in list(_hubs.values()) if hub.running), default=None)


def follow(callback: Callable[[Bounds], None]) -> Callable[[], None]:
    """Call `callback(bounds)` on the running loop whenever the log's head moved; return what ends it."""
    return get_hub().follow(callback)
