"""Work in groups: what comes while one group is being worked on makes the next one, in a thread of its own.

    grouping = Grouping("livereferrals-hits", write, limits=Limits(most=512, room=4096))
    answer = await grouping.ask(item)           # from any event loop

There is no timer. One thread hop serves a whole group, and a lone item is worked on at once.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import django.db

from livereferrals.tracking.desks import Asked, Desk, LateError, NoRoomError, answered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from livereferrals.tracking.desks import Limits

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

IDLE_CLOSE_S: Final = 30.0
"""Quiet time after which the thread gives its database connection back."""
GIVE_AGAIN_S: Final = 0.01
STOP_WITHIN_S: Final = 5.0
"""How long an ending process waits for what is queued."""


class Grouping(Generic[Item, Answer]):
    """Items of this process, worked on in groups by one daemon thread; anew in each forked child."""

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        *,
        limits: Limits,
        afterwards: Callable[[Sequence[Answer | Exception]], None] | None = None,
    ) -> None:
        """Begin nothing yet: the thread starts with the first item.

        Args:
            name: the thread's.
            work: gives an answer for each item, in their order; an exception is raised to the one who asked.
            limits: how much is taken on.
            afterwards: called with the answers once they are handed out.
        """
        self._name = name
        self._work = work
        self._limits = limits
        self._afterwards = afterwards
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._desks: WeakKeyDictionary[asyncio.AbstractEventLoop, Desk] = WeakKeyDictionary()
        self._thread: threading.Thread | None = None
        self._pid: int | None = None
        self._ends_with_process = False

    async def ask(self, item: Item, *, since: float | None = None) -> Answer:
        """Return the item's answer. A caller that is cancelled does not take the item back.

        Args:
            item: what is asked about.
            since: the loop's time from which on its caller has waited, if not from now on.

        Raises:
            NoRoomError: the queue is full and stays so.
            LateError: the answer has not come in time.
        """
        if self._pid != os.getpid():
            self._start()
        desk = self._desk()
        if self._is_full():
            await desk.room(self._is_full)
        future = desk.wait(since=since)
        self._queue.put(Asked(item, future, desk))
        answer: Answer = await future
        return answer

    def ask_from_thread(self, item: Item) -> Answer:
        """Return the item's answer to a thread without an event loop, which waits for it.

        Raises:
            NoRoomError: the queue is full and stays so.
            LateError: the answer has not come in time.
        """
        if self._pid != os.getpid():
            self._start()
        until = time.monotonic() + self._limits.room_within_s
        while self._is_full():
            if time.monotonic() > until:
                raise NoRoomError
            time.sleep(GIVE_AGAIN_S)
        future: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        self._queue.put(Asked(item, future, None))
        try:
            return future.result(self._limits.patience_s)
        except concurrent.futures.TimeoutError:
            # Answered in the very moment, it is none that is late; else it is left out if it has not begun.
            _answer_thread(future, LateError())
            return future.result()

    def give(self, item: Item) -> None:
        """Have the item worked on; for threads, nobody waits for an answer. Waits for room, and never gives up."""
        if self._pid != os.getpid():
            self._start()
        while self._is_full():
            time.sleep(GIVE_AGAIN_S)
        self.put(item)

    def put(self, item: Item) -> None:
        """Have the item worked on, even if there is no room; nobody waits for an answer."""
        if self._pid != os.getpid():
            self._start()
        self._queue.put(Asked(item, None, None))

    @property
    def backlog(self) -> int:
        """How many items wait."""
        return self._queue.qsize()

    def close(self) -> None:
        """Work off what is queued, give the connection back and end the thread; the next item starts a new one."""
        with self._lock:
            thread, self._thread, queued = self._thread, None, self._queue
            mine, self._pid = self._pid == os.getpid(), None
        if thread is not None and mine:
            queued.put(None)
            thread.join(STOP_WITHIN_S)

    def _desk(self) -> Desk:
        loop = asyncio.get_running_loop()
        desk = self._desks.get(loop)
        if desk is None:
            desk = self._desks[loop] = Desk(loop, self._limits)
        return desk

    def _is_full(self) -> bool:
        return self._queue.qsize() >= self._limits.room

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            if not self._ends_with_process:
                self._ends_with_process = True
                atexit.register(self.close)
            self._queue = queue.SimpleQueue()
            self._desks = WeakKeyDictionary()
            self._pid = os.getpid()
            self._thread = threading.Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True)
            self._thread.start()

    def _run(self, queued: queue.SimpleQueue[Asked | None]) -> None:
        while True:
            try:
                first = queued.get(timeout=IDLE_CLOSE_S)
            except queue.Empty:
                django.db.connections.close_all()
                first = queued.get()
            group, is_last = self._gather(first, queued)
            if group:
                self._serve(group)
            if is_last:
                django.db.connections.close_all()
                return
            del first, group  # what was worked on is not to be kept until the next comes

    def _gather(self, first: Asked | None, queued: queue.SimpleQueue[Asked | None]) -> tuple[list[Asked], bool]:
        """Return what is queued, up to the most, and whether nothing is to come after it."""
        group: list[Asked] = []
        asked = first
        while asked is not None:
            if asked.is_wanted:
                group.append(asked)
            if len(group) == self._limits.most:
                return group, False
            try:
                asked = queued.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _serve(self, group: list[Asked]) -> None:
        for desk in [desk for desk in list(self._desks.values()) if desk.wants_room]:
            _call(desk, desk.make_room)
        try:
            answers = self._work([asked.item for asked in group])
        except Exception as error:  # a group that fails must not end the thread, on which all groups depend
            logger.exception("A group of %d failed in %s.", len(group), self._name, extra={"action": "group.failed"})
            answers = [error] * len(group)
            if isinstance(error, django.db.Error):
                # What broke may be the connection itself; the next group begins with a new one.
                django.db.connections.close_all()
        _hand_out(group, answers)
        if self._afterwards is None:
            return
        try:
            self._afterwards(answers)
        except Exception:  # the same; the answers are out
            logger.exception("What follows a group failed in %s.", self._name, extra={"action": "group.failed"})


def _call(desk: Desk, act: Callable[..., None], *args: Any) -> None:
    # A loop that was closed meanwhile has nobody left who waits.
    with contextlib.suppress(RuntimeError):
        desk.loop.call_soon_threadsafe(act, *args)


def _hand_out(group: Sequence[Asked], answers: Sequence[Any]) -> None:
    for desk in {asked.desk for asked in group if asked.desk is not None}:
        _call(desk, desk.settle, group, answers)
    for asked, answer in zip(group, answers, strict=True):
        if isinstance(asked.future, concurrent.futures.Future):
            _answer_thread(asked.future, answer)


def _answer_thread(future: concurrent.futures.Future[Any], answer: Any) -> None:
    # It may be given up in this very moment.
    with contextlib.suppress(concurrent.futures.InvalidStateError):
        answered(future, answer)
