"""On what terms a watcher is served, out of the host's settings."""

from __future__ import annotations

import math
import random
from functools import lru_cache
from typing import TYPE_CHECKING

from livereferrals import conf
from livereferrals.streaming.duties import SPREAD, Duties
from livereferrals.streaming.pacing import Credit, Intake, Paced

if TYPE_CHECKING:
    from livereferrals.feed_limits import FeedLimits
    from livereferrals.streaming.tokens import Grant


@lru_cache(maxsize=1024)
def shared_grant(grant: Grant) -> Grant:
    """Return the one of all equal grants that watchers are to keep."""
    return grant


def credit_of(limits: FeedLimits, *, now: float, acks: bool) -> Credit | Paced:
    """Return what a watcher may send: up to a window that is acknowledged, or at a pace."""
    if acks:
        return Credit(max_events=limits.window_events, max_bytes=limits.window_bytes)
    return Paced(rate=limits.rate_bytes_s, now=now)


def intake_of(limits: FeedLimits, *, now: float) -> Intake:
    """Return what a client may say; of what fits into a window it may acknowledge every event and every batch."""
    return Intake(
        rate=limits.client_messages_s,
        burst=limits.client_messages_burst,
        most_acks=2 * limits.window_events,
        now=now,
    )


def duties_of(limits: FeedLimits, *, now: float, acks: bool) -> Duties:
    """Return a watcher's times; a reader that does not acknowledge need never say anything."""
    spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - no secret
    return Duties(
        now=now,
        heartbeat_s=conf.settings.FEED_HEARTBEAT.total_seconds() * spread,
        age_s=conf.settings.FEED_MAX_AGE.total_seconds() * spread,
        silence_timeout_s=limits.silence_timeout_s if acks else math.inf,
        ack_timeout_s=limits.ack_timeout_s if acks else math.inf,
    )
