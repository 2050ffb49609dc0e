"""The one thread of its kind in a server process: started once, ended at exit, and anew in forked children."""

from __future__ import annotations

import atexit
import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


STOP_WITHIN_S: Final = 5.0


class Inhabitant(ABC):
    """A daemon thread of its own, until it is told to stop."""

    def __init__(self, name: str, *, stop_within_s: float = STOP_WITHIN_S) -> None:
        self._stopping = threading.Event()
        self._stop_within_s = stop_within_s
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after what is under way; wait for that."""
        self._stopping.set()
        self._rouse()
        if self._thread.is_alive():
            self._thread.join(self._stop_within_s)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def _rouse(self) -> None:  # noqa: B027 - most look at `_stopping` by themselves
        """Have `_run` see that it is to stop, where it waits for something else."""

    @abstractmethod
    def _run(self) -> None:
        """Work until `_stopping` is set."""


One = TypeVar("One", bound=Inhabitant)


class Resident(Generic[One]):
    """Keeps at most one running; `make` gives a new one that has not begun."""

    def __init__(self, make: Callable[[], One]) -> None:
        self.current: One | None = None
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
                os.register_at_fork(after_in_child=self.start_anew)
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

    def start_anew(self) -> None:
        """In a forked child: the parent's thread is not here."""
        was_running = self.current is not None
        self._lock = threading.Lock()
        self.current = None
        if was_running:
            self.start()
