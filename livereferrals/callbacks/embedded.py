"""The worker inside a server process: a thread with a loop of its own (design, decision 2).

`start()` does nothing where the setting `WORKER` is not `embedded`, never starts a second one in a process, and has
forked children start their own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from livereferrals import conf
from livereferrals.callbacks.worker import Worker
from livereferrals.residents import Inhabitant, Resident

logger = logging.getLogger(__name__)

STOP_MARGIN_S: Final = 5.0
"""What ending takes beyond the grace."""


class _Embedded(Inhabitant):
    """A worker in a thread of its own."""

    def __init__(self) -> None:
        self.worker = Worker()
        grace_s = conf.callbacks.SHUTDOWN_GRACE.total_seconds()
        super().__init__("livereferrals-callbacks", stop_within_s=grace_s + STOP_MARGIN_S)

    def _rouse(self) -> None:
        self.worker.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self.worker.run())
        except Exception:
            # The top of a thread: nobody else would say so.
            logger.exception("The embedded callback worker has ended.", extra={"action": "worker.crashed"})


# At exit its threads, being daemons, still run: the worker gets to write its last results.
_embedded = Resident(_Embedded)


def start() -> None:
    """Start this process's worker, unless it runs or the settings want none here."""
    if conf.callbacks.WORKER == "embedded":
        _embedded.start()


def is_well() -> bool:
    """Whether this process has a worker that does its rounds."""
    current = _embedded.current
    return current is not None and current.worker.is_well


def stop() -> None:
    """End this process's worker as a deploy does: what is under way may end, the rest is given back."""
    _embedded.stop()
