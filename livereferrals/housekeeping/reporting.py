"""Saying every few seconds that this process lives: the thread that writes its row for the status page and the doctor."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseProblem
from django.db import connections

from livereferrals import conf
from livereferrals.callbacks import embedded
from livereferrals.dashboard import live
from livereferrals.housekeeping import keeper
from livereferrals.residents import Inhabitant, Resident
from livereferrals.streaming import hub, processes
from livereferrals.streaming.processes import WRITE_AT_LEAST_S, Life
from livereferrals.tracking import losses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)


FIRST_PAUSE_S: Final = 2.0
"""What else the process has was still starting when it first spoke: a doctor who comes now must not miss the worker."""


class Reporter(Inhabitant):
    """A daemon thread that says how it stands with this process, until it takes its row away."""

    def __init__(self, life: Callable[[], Life], *, every_s: float = WRITE_AT_LEAST_S) -> None:
        super().__init__("livereferrals-reporter")
        self._life = life
        self._every_s = every_s

    def _run(self) -> None:
        pause_s = min(FIRST_PAUSE_S, self._every_s)
        while True:
            self._guarded(self._say)
            if self._stopping.wait(pause_s):
                break
            pause_s = self._every_s
        self._guarded(processes.part)

    def _say(self) -> None:
        processes.say_alive(self._life())

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do it; a database that is away makes the row go stale, which is what it is there to show."""
        try:
            act()
        except DatabaseProblem:
            if not self._failing:
                logger.warning("This process cannot say that it lives.", exc_info=True, extra={"action": "status.away"})
            self._failing = True
        else:
            self._failing = False
        finally:
            connections.close_all()


@contextlib.contextmanager
def running(life: Callable[[], Life]) -> Iterator[Reporter]:
    """Say that this process lives while the block runs."""
    reporter = Reporter(life)
    reporter.start()
    try:
        yield reporter
    finally:
        reporter.stop()


def of_server() -> Life:
    """Return what a server process has to say."""
    return Life(
        kind="server",
        worker=embedded.is_well(),
        hub_seq=hub.place_of_process(),
        screens=live.open_screens(),
        chores=keeper.embedded_chores(),
        lost_hits=losses.of_process(),
    )


_resident = Resident(lambda: Reporter(of_server))


def start_in_server() -> None:
    """Have this server process say that it lives, unless it does or the settings want nothing to run by itself."""
    if conf.callbacks.WORKER == "off":
        return
    _resident.start()


def stop_in_server() -> None:
    """Have this server process say no more."""
    _resident.stop()
