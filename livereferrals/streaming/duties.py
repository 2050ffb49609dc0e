"""What a watcher owes its reader by the clock: heartbeats, and an end by age, silence or a full window. Pure."""

from __future__ import annotations

import math
from typing import Final

from livereferrals.exceptions import FeedError

SPREAD: Final = 0.1
"""Heartbeats and ages vary by this part, so that clients which connected together do not act together."""


class Duties:
    """The times of one watcher, all on a monotonic clock."""

    __slots__ = ("_ack_timeout_s", "_ends_at", "_full_since", "_heard_at", "_heartbeat_s", "_sent_at", "_silence_s")

    def __init__(
        self,
        *,
        now: float,
        heartbeat_s: float,
        age_s: float,
        silence_timeout_s: float = math.inf,
        ack_timeout_s: float = math.inf,
    ) -> None:
        self._heartbeat_s = heartbeat_s
        self._ends_at = now + age_s
        self._silence_s = silence_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._heard_at = self._sent_at = now
        self._full_since = math.inf

    def note_heard(self, now: float) -> None:
        """Take note that the reader has said something."""
        self._heard_at = now

    def note_sent(self, now: float) -> None:
        """Take note that the reader was sent something."""
        self._sent_at = now

    def note_full(self, now: float) -> None:
        """Take note that the window is full; the first time counts."""
        self._full_since = min(self._full_since, now)

    @property
    def has_full_window(self) -> bool:
        """Whether nothing may be sent before an acknowledgement."""
        return self._full_since < math.inf

    def note_freed(self) -> bool:
        """Take note of an acknowledgement that made room; return whether the window had been full."""
        was_full, self._full_since = self.has_full_window, math.inf
        return was_full

    def owes_heartbeat(self, now: float) -> bool:
        """Whether nothing was sent for long enough."""
        return now >= self._sent_at + self._heartbeat_s

    def next_at(self) -> float:
        """Return when the next of them is due."""
        return min(
            self._sent_at + self._heartbeat_s,
            self._ends_at,
            self._heard_at + self._silence_s,
            self._full_since + self._ack_timeout_s,
        )

    def check(self, now: float, *, retry_after_s: float) -> None:
        """End a connection that has lasted, or its reader has been silent, for too long.

        Raises:
            FeedError: `max_age` or `slow_consumer`.
        """
        if now >= self._ends_at:
            raise FeedError("max_age", "This connection is old; connect again.", retry_after_s=retry_after_s)
        if now >= self._heard_at + self._silence_s:
            raise FeedError("slow_consumer", f"Nothing heard for {self._silence_s:g} s.")
        if now >= self._full_since + self._ack_timeout_s:
            raise FeedError("slow_consumer", f"Nothing acknowledged for {self._ack_timeout_s:g} s.")
