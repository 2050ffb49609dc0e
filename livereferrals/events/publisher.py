"""The publisher: after a commit it numbers the events and wakes the readers, in a thread of its own.

The numbering transaction stands in nobody's way: the request that committed has long been answered. What commits while
one numbering runs is taken by the next one together.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import Error as DatabaseProblem
from django.db import connections, router, transaction

from livereferrals.events import hints, sequencer
from livereferrals.events.models import Event

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

IDLE_CLOSE_S = 0.5
"""Quiet time after which the thread gives its database connection back."""
RETRY_S = 0.5
"""Pause after a database error."""
APART_S = 0.01
"""From the begin of one numbering to the next: an event that comes alone is numbered at once, several in few batches."""
FLOOD = 16
"""So many events in one numbering are a flood."""
FLOOD_APART_S = 0.05
"""From the begin of one numbering to the next in a flood: its readers get twenty frames a second at most, and each numbering
takes from the server what hits need."""


class Publisher:
    """A daemon thread, made at the first commit and anew in each forked child."""

    def __init__(self) -> None:
        self.inline = False
        """Number in the committing thread: for tests, where a second connection could see nothing."""
        self._is_private: bool | None = None
        self._wanted = threading.Event()
        self._resting = threading.Event()
        self._resting.set()
        self._asked: deque[_Asked] = deque()
        """No lock, which a fork could copy while it is held: whoever wakes adds, and the thread alone takes away."""
        self._lock = threading.Lock()
        self._pid: int | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether all that was asked for has been done."""
        # In this order: the thread says that it works before it takes the wish away.
        return not self._wanted.is_set() and self._resting.is_set()

    @property
    def is_inline(self) -> bool:
        """Whether work is to be done in the thread that asks for it, because no other could see its rows."""
        if self._is_private is None:
            self._is_private = self._is_private_database()
        return self.inline or self._is_private

    def wake(self, *, about: str | None = None) -> None:
        """Have everything numbered soon; returns at once.

        Args:
            about: what else there is to hint at, beside the log.
        """
        self._ask(_Asked(about=about))

    def tell(self, number: int) -> None:
        """Have readers woken for so many events, at least one, that have their numbers; returns at once."""
        self._ask(_Asked(about=hints.LOG, numbered=number))

    def _ask(self, asked: _Asked) -> None:
        if self.is_inline:
            _publish_asked([asked])
            return
        self._asked.append(asked)
        self._wanted.set()
        if self._pid != os.getpid():
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._wanted = threading.Event()
            self._wanted.set()
            self._resting = threading.Event()
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="livereferrals-publisher", daemon=True).start()

    def _run(self) -> None:
        wanted, resting = self._wanted, self._resting
        last, apart = 0.0, APART_S
        while True:
            resting.set()
            if not wanted.wait(IDLE_CLOSE_S):
                connections.close_all()
                wanted.wait()
            resting.clear()
            if (early := last + apart - time.monotonic()) > 0:
                time.sleep(early)
            last = time.monotonic()
            wanted.clear()
            numbered = self._published()
            apart = FLOOD_APART_S if numbered is not None and numbered >= FLOOD else APART_S
            if numbered is None:
                connections.close_all()
                threading.Event().wait(RETRY_S)
                wanted.set()

    def _published(self) -> int | None:
        """Publish what there is; return how many events that were, or nothing where it could not be done."""
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        try:
            return _publish_asked(asked)
        except DatabaseProblem:  # `InterfaceError`, of a connection that was lost, is no `DatabaseError`
            logger.warning("Events wait for their numbers.", exc_info=True, extra={"action": "sequencer.away"})
        except Exception:
            # The only thread of its kind: if it ended, this process would number nothing any more.
            logger.exception("Events wait for their numbers.", extra={"action": "sequencer.failed"})
        self._asked.extend(asked)
        return None

    @staticmethod
    def _is_private_database() -> bool:
        """Whether only this thread's connection can see the rows (SQLite in memory)."""
        connection = connections[router.db_for_write(Event)]
        return connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined] # SQLite's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What one who wakes the publisher wants of it."""

    about: str | None = None
    """What there is to hint at, beside the log."""
    numbered: int = 0
    """How many events have their numbers and are to be told of; none: there is something to number."""


publisher = Publisher()


def publish_now() -> int:
    """Number what is committed and wake the readers here and, over the channel layer, elsewhere; return how many events."""
    return _publish_asked([_Asked()])


def _publish_asked(asked: Collection[_Asked]) -> int:
    """Do what was asked for; return of how many events."""
    also = {each.about for each in asked if each.about is not None}
    told = sum(each.numbered for each in asked)
    if all(each.numbered for each in asked):
        _hint(also)
        return told
    return told + _publish(is_expected=True, also=also)


def publish_left_behind() -> None:
    """Do the same for what a process has committed that did not live to number it. One cheap query as a rule."""
    _publish(is_expected=False)


def _publish(*, is_expected: bool, also: Collection[str] = ()) -> int:
    numbered = sequencer.number_events(is_expected=is_expected)
    _hint({*([hints.LOG] if numbered else []), *also})
    return numbered


def _hint(abouts: Collection[str]) -> None:
    # Nobody here waits for a channel layer that may stand still.
    for about in abouts:
        hints.notify(about)
    for about in abouts:
        hints.announce(about)


def wake_after_commit() -> None:
    """The hook: a named function, because Django logs `func.__qualname__` of a failing one, which a partial lacks."""
    publisher.wake()


def publish_on_commit(alias: str) -> None:
    """Have the events of the current transaction numbered once it has committed."""
    transaction.on_commit(wake_after_commit, using=alias, robust=True)
