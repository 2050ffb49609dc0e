"""When a worker looks around: by itself, when something falls due, and sooner after a hint. No clock of its own."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

POLL_S: Final = 1.0  # how often a worker looks by itself when no hint comes
SHORTEST_POLL_S: Final = 0.02
"""A hint comes for every transaction that owes something; one look serves all of this time."""
LOOKS_SHARE: Final = 8
"""A busy worker waits so many times as long as a look takes: it looks around for a ninth of its time at most."""
MOST_DUES: Final = 1000


class Timetable:
    """The time of the next look; all times are monotonic."""

    def __init__(self) -> None:
        self._dues: list[float] = []
        """A heap."""
        self._next_at = 0.0
        self._began_at = self._took_s = 0.0
        """Of the last look."""

    @property
    def next_at(self) -> float:
        """When there is something to look for."""
        return min(self._next_at, self._dues[0]) if self._dues else self._next_at

    def hint(self, *, is_busy: bool) -> None:
        """There is something new: look soon, but a busy worker has other things to do too."""
        pause = LOOKS_SHARE * self._took_s if is_busy else 0.0
        self._next_at = min(self._next_at, self._began_at + max(SHORTEST_POLL_S, pause))

    def remember(self, dues: Iterable[float]) -> None:
        """Something falls due then."""
        for due in dues:
            if len(self._dues) < MOST_DUES:
                heapq.heappush(self._dues, due)

    def begin(self, *, now: float) -> None:
        """A look begins, which finds what has fallen due."""
        while self._dues and self._dues[0] <= now:
            heapq.heappop(self._dues)

    def end(self, *, began: float, now: float) -> None:
        """A look went well."""
        self._began_at, self._next_at, self._took_s = began, began + POLL_S, now - began
