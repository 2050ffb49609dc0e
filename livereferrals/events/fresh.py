"""What this process has numbered last, for those in it who follow the log: they need not ask the database for it."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from livereferrals.events.log import Bounds
    from livereferrals.events.logged import Logged

KEPT: Final = 4000
"""Events that are kept, of the latest batches; who is further behind asks the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events that were numbered together, and the log as it was then: its row was locked."""

    epoch: str
    before: int
    """The log's head before it."""
    oldest: int
    revision: int
    house_key: str
    events: list[Logged]

    @property
    def head(self) -> int:
        """The log's head after it."""
        return self.before + len(self.events)


class Fresh:
    """The latest batches, as long as somebody wants them. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batches: deque[Batch] = deque()
        self._kept = 0
        self._wanted = 0

    @property
    def is_wanted(self) -> bool:
        """Whether batches are to be kept."""
        return self._wanted > 0

    def want(self) -> None:
        """Have batches kept from now on."""
        with self._lock:
            self._wanted += 1

    def unwant(self) -> None:
        """End that."""
        with self._lock:
            self._wanted -= 1
            if not self._wanted:
                self._batches.clear()
                self._kept = 0

    def keep(self, batch: Batch) -> None:
        """Add what has just been numbered and committed."""
        with self._lock:
            if self._wanted:
                self._batches.append(batch)
                self._kept += len(batch.events)
            while self._kept > KEPT and len(self._batches) > 1:
                self._kept -= len(self._batches.popleft().events)

    def after(self, bounds: Bounds, *, position: int) -> list[Batch]:
        """Return the batches that follow `position` without a gap, where the log is as the reader knows it, or later."""
        found = []
        with self._lock:
            batches = list(self._batches)
        for batch in batches:
            is_later = batch.oldest >= bounds.oldest and batch.revision >= bounds.revision
            if batch.before == position and batch.epoch == bounds.epoch and is_later:
                found.append(batch)
                position = batch.head
        return found


fresh = Fresh()
