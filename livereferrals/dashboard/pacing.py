"""How often the live socket does what. Pure."""

from __future__ import annotations

from dataclasses import dataclass

INTERVAL_S = 0.25
"""The shortest time between two frames: at most four a second."""
SLOW_S = 0.05
"""A rendering that takes longer halves the pace, one that takes four times as long halves it again."""
SLOWEST_S = 2.0
"""The longest pause between two frames."""
FAILED_S = 1.0
"""The pause after a frame in which a region failed: it is tried again, event or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of one live socket, in seconds."""

    ack_s: float = 5.0
    """After it a frame counts as acknowledged."""
    heartbeat_s: float = 20.0
    standing_s: float = 30.0
    """How often session and permissions are looked at again."""
    lag_s: float = 2.0
    """A frame that is late by more is said to be late, again and again until it comes."""
    waiting_s: float = 1.0
    """The shortest time between two counts of what waits behind a pause."""
    send_s: float = 20.0
    """How long a browser may take to take one message."""


def pause_after(took_s: float, *, is_whole: bool = True) -> float:
    """Return how long to rest after a rendering that took this long, so that frames never fill the processor."""
    pause_s, bound_s = INTERVAL_S if is_whole else FAILED_S, SLOW_S
    while took_s > bound_s and pause_s < SLOWEST_S:
        pause_s, bound_s = pause_s * 2, bound_s * 4
    return pause_s
