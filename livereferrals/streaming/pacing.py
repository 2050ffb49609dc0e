"""How much a client may be sent, or may send (feed protocol, 7). Pure: times are given."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from livereferrals.exceptions import FeedError

RATE_BURST: Final = 4
"""A client that does not acknowledge may get this many seconds of its rate at once."""
PROVED_AFTER_S: Final = 60.0
"""A client that has said nothing for so long has answered the server's pings, which come when nothing else does."""
UNPROVED_BYTES: Final = 4 * 2**20
"""Most bytes towards a client that may not be reading."""


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


class Intake:
    """How much a client may say: messages at a rate, and beside them an acknowledgement for all that it was sent.

    A client that acknowledges every event keeps the protocol, however fast it catches up. What it was sent bounds how
    often it can do so, and the window what it was sent; acknowledging the same again and again is a flood.
    """

    __slots__ = ("_acks", "_bucket", "_most_acks")

    def __init__(self, *, rate: float, burst: float, most_acks: int, now: float) -> None:
        self._bucket = Bucket(rate=rate, burst=burst, now=now)
        self._most_acks = most_acks
        self._acks = 0

    def take(self, *, is_ack: bool, acks_earned: int, now: float) -> None:
        """Take one message.

        Args:
            is_ack: whether it is an acknowledgement.
            acks_earned: how many of them the client has had reason for, since it connected.
            now: a monotonic time.

        Raises:
            FeedError: `protocol_error`, it is one too many.
        """
        # What nobody used of long ago is not saved up.
        self._acks = max(self._acks, acks_earned - self._most_acks)
        if is_ack and self._acks < acks_earned:
            self._acks += 1
            return
        if self._bucket.wait(1, now=now) > 0:
            raise FeedError("protocol_error", "Too many messages in a second.")
        self._bucket.take(1, now=now)


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


class Paced:
    """What a client that does not acknowledge may be sent: a rate, for the server cannot see how far it is.

    Its reading is proved by the server's own pings, and daphne asks by a ping only whoever is silent: one that speaks and
    does not read would be sent more and more. So such a one is asked to come back, with a new connection.
    """

    __slots__ = ("_bucket", "_heard_at", "_unproved")

    def __init__(self, *, rate: float, now: float) -> None:
        self._bucket = Bucket(rate=rate, burst=rate * RATE_BURST, now=now)
        self._heard_at = -math.inf
        self._unproved = 0

    def wait(self, *, events: int, size: int, now: float) -> float:
        """Return the seconds until that much may be sent."""
        return self._bucket.wait(size, now=now)

    def add(self, *, cursor: int, events: int, size: int, now: float) -> None:
        """Note what was sent.

        Raises:
            FeedError: `max_age`, nothing proves that it is read.
        """
        self._bucket.take(size, now=now)
        if now - self._heard_at > PROVED_AFTER_S:
            self._unproved = 0
            return
        self._unproved += size
        if self._unproved > UNPROVED_BYTES:
            raise FeedError("max_age", "This connection has had much; connect again.", retry_after_s=0)

    def hear(self, now: float) -> None:
        """Note that the client has said something."""
        self._heard_at = now

    def acknowledge(self, cursor: int) -> bool:
        """Change nothing: what it acknowledges was not counted."""
        return False


class Credit:
    """What a client that acknowledges may be sent: a window."""

    __slots__ = ("_window",)

    def __init__(self, *, max_events: int, max_bytes: int) -> None:
        self._window = Window(max_events=max_events, max_bytes=max_bytes)

    def wait(self, *, events: int, size: int, now: float) -> float:
        """Return no time, or for ever, until an acknowledgement."""
        return 0.0 if self._window.fits(events=events, size=size) else math.inf

    def add(self, *, cursor: int, events: int, size: int, now: float) -> None:
        """Note what was sent."""
        self._window.add(cursor=cursor, events=events, size=size)

    def hear(self, now: float) -> None:
        """Change nothing: only an acknowledgement makes room."""

    def acknowledge(self, cursor: int) -> bool:
        """Note that everything up to `cursor` is handled; return whether that made room."""
        return self._window.acknowledge(cursor)
