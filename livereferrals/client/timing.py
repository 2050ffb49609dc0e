"""When a client comes back, and for how long it waits (feed protocol, 14). Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The client's own numbers. The protocol sets them; tests make them small."""

    hello_s: float = 10.0
    """How long a connection may take until its `hello`."""
    silence: float = 2.5
    """Heartbeats that may be missing before the connection is given up."""
    base_s: float = 0.5
    """The first wait is at most this long; each failure doubles it."""
    cap_s: float = 60.0
    """No wait that the server does not ask for is longer."""
    steady_s: float = 30.0
    """Live for this long, and the next wait begins at `base_s` again."""


def pause_before(attempt: int, *, chance: float, at_least_s: float, timing: Timing) -> float:
    """Return the seconds to wait before the next connection: full jitter, and never less than the server asks for.

    Args:
        attempt: failures since the feed was last steady; 0 for the first.
        chance: a random number from 0 to 1.
        at_least_s: the server's `retry_after_s`.
        timing: the numbers.
    """
    # 2^64 is far beyond any cap; a greater power would overflow a float after weeks without a network.
    highest = min(timing.cap_s, timing.base_s * 2.0 ** min(attempt, 64))
    return max(at_least_s, chance * highest)
