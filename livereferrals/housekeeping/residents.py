"""The one thread of its kind in a server process: started once, ended at exit, and anew in forked children."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


class Worker(Protocol):
    """What can live in a server process."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End, and wait for that."""


W = TypeVar("W", bound=Worker)


class Resident(Generic[W]):
    """Keeps at most one running; `make` gives a new one that has not begun."""

    def __init__(self, make: Callable[[], W]) -> None:
        self.current: W | None = None
        """The one that runs, if there is one."""
        self._make = make
        self._lock = threading.Lock()
        self._is_prepared = False

    def start(self) -> None:
        """Start one, unless one runs."""
        if not self._is_prepared:
            self._is_prepared = True
            atexit.register(self.stop)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._start_anew)
        with self._lock:
            if self.current is None or not self.current.is_alive:
                self.current = self._make()
                self.current.start()

    def stop(self) -> None:
        """End the one that runs."""
        with self._lock:
            current, self.current = self.current, None
        if current is not None:
            current.stop()

    def _start_anew(self) -> None:
        """In a forked child: the parent's thread is not here."""
        was_running = self.current is not None
        self._lock = threading.Lock()
        self.current = None
        if was_running:
            self.start()
