"""The thread that keeps house: rollups every few seconds, forgetting by the hour."""

from __future__ import annotations

import contextlib
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseProblem
from django.db import connections
from django.utils import timezone

from livereferrals import conf
from livereferrals.callbacks import backlog, metrics, processes
from livereferrals.dashboard import rollups
from livereferrals.events import log
from livereferrals.housekeeping import turns
from livereferrals.housekeeping.forgetting import KINDS, present
from livereferrals.residents import Inhabitant, Resident

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.housekeeping.forgetting import Kind

logger = logging.getLogger(__name__)

ROLLUPS_S: Final = 5.0
"""How often rollups follow the log."""
BACKLOG_S: Final = 15.0
"""How often the figures of what waits are read, for metrics."""
LOOK_S: Final = 60.0
"""How often it is looked which chores are due."""
EVERY: Final = timedelta(hours=1)
"""How often each kind of old rows is forgotten."""
BACK_OFF_S: Final = 30.0
"""Pause after something went wrong."""
LEAST_PAUSE_S: Final = 0.02


class Housekeeper(Inhabitant):
    """A daemon thread with a database connection of its own.

    Between two batches it rests as long as the batch has taken, so that it never has more than half of what a database
    with one writer can give: deliveries go first.
    """

    def __init__(self, *, first_look_s: float = LOOK_S) -> None:
        super().__init__("livereferrals-housekeeping")
        self._first_look_s = first_look_s
        self._tell_at = 0.0
        self.done: dict[str, str] = {}
        """When each chore was last done here, in ISO 8601."""

    def _run(self) -> None:
        look_at = time.monotonic() + self._first_look_s
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = ROLLUPS_S if self._guarded_round(is_looking=time.monotonic() >= look_at) else BACK_OFF_S
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + LOOK_S
            pause = max(0.0, min(pause, look_at - time.monotonic()))
        connections.close_all()

    def _guarded_round(self, *, is_looking: bool) -> bool:
        try:
            self._round(is_looking=is_looking)
        except Exception as error:
            # The top of a thread: neither a database that is away nor a fault of ours may end all housekeeping.
            if not self._failing:
                level = logging.WARNING if isinstance(error, DatabaseProblem) else logging.ERROR
                logger.log(level, "Housekeeping failed; it goes on.", exc_info=True, extra={"action": "chores.failed"})
            self._failing = True
            connections.close_all()
            return False
        self._failing = False
        return True

    def _round(self, *, is_looking: bool) -> None:
        if log.bounds().head > rollups.position().seq:
            rollups.advance()
        self._note("rollups")
        self._tell_backlog()
        if is_looking:
            for kind in KINDS:
                if self._stopping.is_set():
                    return
                self._do(kind)

    def _tell_backlog(self) -> None:
        """Keep the figures of what waits up to date, where somebody may ask for them."""
        if metrics.is_there() and time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + BACKLOG_S
            found = backlog.look()
            metrics.waits(found.waiting, overdue_s=found.overdue_s(timezone.now()))

    def _do(self, kind: Kind) -> None:
        holder = processes.this_process()
        if not turns.take(kind.name, every=EVERY, holder=holder, now=present()):
            return
        try:
            total, is_whole = self._forget(kind, holder=holder)
        except BaseException:
            turns.put_off(kind.name, holder=holder)
            raise
        if is_whole:
            turns.end(kind.name, holder=holder, now=present())
            self._note(kind.name)
        else:
            turns.put_off(kind.name, holder=holder)
        if total:
            logger.info("%s %s.", total, kind.does, extra={"action": "chore.done", "chore": kind.name, "rows": total})

    def _note(self, name: str) -> None:
        self.done = {**self.done, name: timezone.now().isoformat(timespec="seconds")}

    def _forget(self, kind: Kind, *, holder: str) -> tuple[int, bool]:
        """Forget batch by batch; return how much, and whether that was all."""
        total, began = 0, time.monotonic()
        for count in kind.prune(present()):
            total += count
            if self._stopping.wait(max(LEAST_PAUSE_S, time.monotonic() - began)):
                return total, False
            if not turns.keep(kind.name, holder=holder, now=present()):
                return total, False
            began = time.monotonic()
        return total, True


@contextlib.contextmanager
def running() -> Iterator[Housekeeper]:
    """Keep house while the block runs."""
    keeper = Housekeeper()
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


_embedded = Resident(Housekeeper)


def start_embedded() -> None:
    """Start this process's housekeeper, unless it runs or deliveries are made elsewhere: it goes where the worker is."""
    if conf.callbacks.WORKER != "embedded":
        return
    _embedded.start()


def embedded_chores() -> dict[str, str]:
    """Return when this server process's housekeeper last did each chore; nothing where it has none."""
    keeper = _embedded.current
    return {} if keeper is None else keeper.done


def stop_embedded() -> None:
    """End this process's housekeeper after the batch that is under way."""
    _embedded.stop()
