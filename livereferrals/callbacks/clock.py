"""The time that all workers agree on: PostgreSQL's own clock, on SQLite the machine's (callbacks, section 4)."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime

logger = logging.getLogger(__name__)

JUMP_S: Final = 30.0
"""A clock that is so far from where it should be was set."""
DISTRUST_S: Final = 60.0
"""The length of a lease: after it, every lease that is alive was renewed by the new time."""


def now(alias: str) -> datetime:
    """Return the time of this statement. One query on PostgreSQL, none on SQLite."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def moment(alias: str) -> Any:
    """Return what stands for the time of the statement that writes it. No query."""
    return Now() if connections[alias].vendor == "postgresql" else timezone.now()


def mark(alias: str, *, here: datetime) -> datetime | Now:
    """Return the time for a statement that is kept: PostgreSQL's own, or on SQLite a mark that each asking replaces."""
    return Now() if connections[alias].vendor == "postgresql" else here


class Watch:
    """Notices jumps of the common clock, by a clock that cannot be set.

    After a jump a lease may look over, or nonsense, although its worker is well and in the middle of a request; so for
    the length of a lease nobody is taken at its word, and only the leases of dead processes are taken over.
    """

    def __init__(self) -> None:
        self._seen: tuple[datetime, float] | None = None
        self._distrust_until = float("-inf")

    def is_steady(self, common: datetime, *, monotonic: float | None = None) -> bool:
        """Whether the common clock, which shows this time, has gone as it should for the last 60 s."""
        own = time.monotonic() if monotonic is None else monotonic
        if self._seen is not None:
            before, own_before = self._seen
            jump_s = (common - before).total_seconds() - (own - own_before)
            if abs(jump_s) > JUMP_S:
                self._distrust_until = own + DISTRUST_S
                logger.warning("The clock has jumped by %.0f s.", jump_s, extra={"action": "clock.jumped"})
        self._seen = common, own
        return own >= self._distrust_until
