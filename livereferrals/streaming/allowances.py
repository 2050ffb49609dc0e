"""How often one token or one address may do something (feed protocol, 10). In this process's memory, for any thread."""

from __future__ import annotations

import threading
from collections import OrderedDict

from livereferrals.streaming.pacing import Bucket

MOST_KEYS = 10_000
"""Buckets held; beyond that the one unused for longest is forgotten, which gives its owner a full one."""


class Allowance:
    """A bucket for each key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, float, float], Bucket] = OrderedDict()

    def spend(self, key: str, *, rate: float, burst: float, now: float) -> float:
        """Take one, and return 0; or return the seconds after which there is one.

        Args:
            key: whose bucket it is.
            rate: what flows in, a second.
            burst: what it holds.
            now: a monotonic time.
        """
        with self._lock:
            # With the rate in the key, a changed setting takes effect at once.
            place = (key, rate, burst)
            bucket = self._buckets.pop(place, None) or Bucket(rate=rate, burst=burst, now=now)
            self._buckets[place] = bucket
            if len(self._buckets) > MOST_KEYS:
                self._buckets.popitem(last=False)
            wait = bucket.wait(1, now=now)
            if wait == 0:
                bucket.take(1, now=now)
            return wait


connects = Allowance()
polls = Allowance()
tickets = Allowance()
failures = Allowance()
