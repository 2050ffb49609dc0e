"""The worker inside a server process: a thread with a loop of its own (design, decision 2).

`start()` does nothing where the setting `WORKER` is not `embedded`, never starts a second one in a process, and has
forked children start their own.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from typing import TYPE_CHECKING, Final

from livereferrals import conf
from livereferrals.callbacks.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

STOP_MARGIN_S: Final = 5.0
"""What ending takes beyond the grace."""


class _Embedded:
    """The one worker of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.worker: Worker | None = None
        self.thread: threading.Thread | None = None
        self.is_prepared = False

    def start(self) -> None:
        with self.lock:
            if self.thread is not None and self.thread.is_alive():
                return
            self.worker = Worker()
            self.thread = threading.Thread(
                target=_run, args=(self.worker,), name="livereferrals-callbacks", daemon=True
            )
            self.thread.start()

    def stop(self) -> None:
        with self.lock:
            worker, thread = self.worker, self.thread
            self.worker = self.thread = None
        if worker is None or thread is None:
            return
        worker.stop()
        thread.join(conf.callbacks.SHUTDOWN_GRACE.total_seconds() + STOP_MARGIN_S)

    def start_anew(self) -> None:
        """In a forked child: the parent's thread is not here."""
        was_running = self.thread is not None
        self.lock = threading.Lock()
        self.worker = self.thread = None
        if was_running:
            self.start()


_embedded = _Embedded()


def start() -> None:
    """Start this process's worker, unless it runs or the settings want none here."""
    if conf.callbacks.WORKER != "embedded":
        return
    if not _embedded.is_prepared:
        _embedded.is_prepared = True
        # At exit the worker's threads, being daemons, still run: it gets to write its last results.
        atexit.register(stop)
        if (register := _fork_hooks()) is not None:
            register(after_in_child=_embedded.start_anew)
    _embedded.start()


def is_well() -> bool:
    """Whether this process has a worker that does its rounds."""
    worker = _embedded.worker
    return worker is not None and worker.is_well


def stop() -> None:
    """End this process's worker as a deploy does: what is under way may end, the rest is given back."""
    _embedded.stop()


def _fork_hooks() -> Callable[..., None] | None:
    return getattr(os, "register_at_fork", None)


def _run(worker: Worker) -> None:
    try:
        asyncio.run(worker.run())
    except Exception:
        # The top of a thread: nobody else would say so.
        logger.exception("The embedded callback worker has ended.", extra={"action": "worker.crashed"})
