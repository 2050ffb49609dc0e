"""How many connections a token and a partner may have open, over all processes together (feed protocol, 10)."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livereferrals import conf
from livereferrals.exceptions import FeedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.streaming.tokens import Grant

RETRY_S: Final = 10.0
"""After this long another process knows of a connection that was closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Connections that other processes have open."""

    token: int = 0
    partner: int = 0


class Places:
    """The open connections of this process, whichever thread or event loop serves them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_token: Counter[str] = Counter()
        self._by_partner: Counter[str] = Counter()
        self._listeners: set[Callable[[], None]] = set()

    def by_token(self) -> dict[str, int]:
        """Return how many connections each token has open."""
        with self._lock:
            return dict(self._by_token)

    def check(self, grant: Grant, elsewhere: Elsewhere) -> None:
        """Refuse one connection too many.

        Raises:
            FeedError: `too_many_connections`.
        """
        with self._lock:
            self._check(grant, elsewhere)

    def taken(self, grant: Grant, elsewhere: Elsewhere) -> Taken:
        """Hold one place, as a context.

        Raises:
            FeedError: `too_many_connections`, at its beginning.
        """
        return Taken(self, grant, elsewhere)

    def take(self, grant: Grant, elsewhere: Elsewhere) -> None:
        """Begin what `taken` does."""
        with self._lock:
            self._check(grant, elsewhere)
            self._count(grant, 1)
        self._tell()

    def give_back(self, grant: Grant) -> None:
        """End what `taken` does."""
        with self._lock:
            self._count(grant, -1)
        self._tell()

    def listen(self, callback: Callable[[], None]) -> None:
        """Call `callback()` after each change, in the thread that made it."""
        self._listeners.add(callback)

    def unlisten(self, callback: Callable[[], None]) -> None:
        """End that."""
        self._listeners.discard(callback)

    def _check(self, grant: Grant, elsewhere: Elsewhere) -> None:
        limits = conf.settings.FEED_LIMITS
        if self._by_token[grant.token] + elsewhere.token >= limits.connections_token:
            raise _too_many("This feed token", limits.connections_token)
        if grant.partner is None:
            return
        if self._by_partner[grant.partner] + elsewhere.partner >= limits.connections_partner:
            raise _too_many("This partner", limits.connections_partner)

    def _count(self, grant: Grant, step: int) -> None:
        for counter, key in ((self._by_token, grant.token), (self._by_partner, grant.partner)):
            if key is not None:
                counter[key] += step
                if not counter[key]:
                    del counter[key]

    def _tell(self) -> None:
        for callback in list(self._listeners):
            callback()


class Taken:
    """One place. A class with slots, as `Stay` is."""

    __slots__ = ("_elsewhere", "_grant", "_places")

    def __init__(self, places: Places, grant: Grant, elsewhere: Elsewhere) -> None:
        self._places = places
        self._grant = grant
        self._elsewhere = elsewhere

    def __enter__(self) -> None:
        self._places.take(self._grant, self._elsewhere)

    def __exit__(self, *_details: object) -> None:
        self._places.give_back(self._grant)


places = Places()


def _too_many(whose: str, most: int) -> FeedError:
    message = f"{whose} has {most} connections open, which is all it may have."
    return FeedError("too_many_connections", message, retry_after_s=RETRY_S)
