"""When the next attempt is due, and when a gate opens (callbacks, section 3). Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

JITTER: Final = (0.8, 1.2)
"""Each wait is multiplied by a random number from here, so that what failed together does not come back together."""
BREAKER_AFTER: Final = 5
BREAKER_FIRST: Final = timedelta(seconds=5)
BREAKER_LONGEST: Final = timedelta(minutes=5)


def wait_after(tries: int, *, waits: Sequence[timedelta], chance: float) -> timedelta | None:
    """Return how long to wait after the attempt that is number `tries` of its schedule, or `None`: that was the last.

    `chance` is a random number from 0 to 1.
    """
    if tries > len(waits):
        return None
    return jittered(waits[tries - 1], chance=chance)


def jittered(wait: timedelta, *, chance: float) -> timedelta:
    """Return the wait multiplied by 0.8 to 1.2."""
    low, high = JITTER
    return wait * (low + (high - low) * chance)


def wait_after_loss(losses: int, tries: int, *, waits: Sequence[timedelta], chance: float) -> timedelta:
    """Return the wait after a worker has died in an attempt: none the first time, then by the schedule."""
    if losses <= 1:
        return timedelta(0)
    return jittered(waits[min(max(tries, 1), len(waits)) - 1], chance=chance)


def breaker_wait(failures: int) -> timedelta | None:
    """Return for how long a failure in a row closes the gate: 5 s at the fifth, doubling to 5 minutes."""
    if failures < BREAKER_AFTER:
        return None
    # The exponent is bounded before the power is: a counter may be in the millions.
    doublings = min(failures - BREAKER_AFTER, 10)
    return min(BREAKER_FIRST * (1 << doublings), BREAKER_LONGEST)
