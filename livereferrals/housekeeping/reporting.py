"""Saying every few seconds that this process lives: the thread that writes its row for the status page and the doctor."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final, Literal

from django.db import Error as DatabaseProblem
from django.db import connections, router

from livereferrals import conf
from livereferrals.callbacks import embedded
from livereferrals.dashboard import live
from livereferrals.events.models import ProcessStatus
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


def of_server(interface: str = "asgi") -> Life:
    """Return what a server process has to say."""
    return Life(
        kind="server",
        interface=interface,
        worker=embedded.is_well(),
        hub_seq=hub.place_of_process(),
        screens=live.open_screens(),
        chores=keeper.embedded_chores(),
        lost_hits=losses.of_process(),
    )


_residents: Final = {
    "asgi": Resident(lambda: Reporter(lambda: of_server("asgi"))),
    "wsgi": Resident(lambda: Reporter(lambda: of_server("wsgi"))),
}


def start_in_server(interface: Literal["asgi", "wsgi"]) -> None:
    """Have this server process say that it lives, and how it serves.

    Not where it does, where the settings want nothing to run by itself, or where nobody else could read it: in memory.
    """
    if conf.callbacks.WORKER == "off" or _is_private_database():
        return
    _residents[interface].start()


def stop_in_server() -> None:
    """Have this server process say no more."""
    for resident in _residents.values():
        resident.stop()


def _is_private_database() -> bool:
    """Whether other threads and processes cannot see the rows, or get in one another's way (SQLite in memory)."""
    connection = connections[router.db_for_write(ProcessStatus)]
    return connection.vendor == "sqlite" and connection.is_in_memory_db()  # type: ignore[attr-defined] # SQLite's
