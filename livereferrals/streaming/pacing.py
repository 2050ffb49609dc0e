"""How much a client may be sent, or may send (feed protocol, 7). Pure: times are given."""

from __future__ import annotations

from collections import deque


class Bucket:
    """A token bucket: `rate` a second on average, `burst` at once."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, *, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def wait(self, amount: float, *, now: float) -> float:
        """Return the seconds until `amount` may be taken; what is larger than the burst goes when the bucket is full."""
        self._fill(now)
        return max(0.0, (min(amount, self._burst) - self._level) / self._rate)

    def take(self, amount: float, *, now: float) -> None:
        """Take `amount`; the bucket may owe."""
        self._fill(now)
        self._level -= amount

    def _fill(self, now: float) -> None:
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now


class Window:
    """What was sent and is not yet acknowledged."""

    __slots__ = ("_max_bytes", "_max_events", "_sent", "bytes", "events")

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._sent: deque[tuple[int, int, int]] = deque()
        self.events = 0
        self.bytes = 0

    def fits(self, *, events: int, size: int) -> bool:
        """Whether one more frame may be sent; an empty window takes any."""
        return not self._sent or (self.events + events <= self._max_events and self.bytes + size <= self._max_bytes)

    def add(self, *, cursor: int, events: int, size: int) -> None:
        """Note a sent frame."""
        self._sent.append((cursor, events, size))
        self.events += events
        self.bytes += size

    def acknowledge(self, cursor: int) -> bool:
        """Note that everything up to `cursor` is handled; return whether that freed anything."""
        freed = False
        while self._sent and self._sent[0][0] <= cursor:
            _, events, size = self._sent.popleft()
            self.events -= events
            self.bytes -= size
            freed = True
        return freed
