"""Hits that are lost: counted, and logged in few lines however many they are."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from django.db import DataError, IntegrityError

from livereferrals.tracking import metrics

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

NAMED: Final = 10
"""Identifiers that one line names."""
LOG_EVERY_S: Final = 1.0


class HitLoss(StrEnum):
    """Why a hit is lost."""

    OVERLOAD = "overload"
    """Hits come faster than the database takes them."""
    LATE = "late"
    """The database has not answered in time."""
    DATABASE = "database"
    """It is away, or full."""
    REFUSED = "refused"
    """It does not take this row, whose link is gone (L-26)."""


_in_process: Counter[HitLoss] = Counter()
_counting = threading.Lock()


def why(error: Exception) -> HitLoss:
    """Return for which reason an error of the database loses a hit."""
    return HitLoss.REFUSED if isinstance(error, IntegrityError | DataError) else HitLoss.DATABASE


def of_process() -> dict[str, int]:
    """Return how many hits this process has lost since it was started, by reason."""
    with _counting:
        return {str(reason): number for reason, number in _in_process.items()}


def count(reason: HitLoss, number: int) -> None:
    """Count hits that are lost, for the status page and for metrics; from any thread."""
    with _counting:
        _in_process[reason] += number
    metrics.lost(reason, number=number)


def tell(lost: Mapping[tuple[HitLoss, str], int], *, error: Exception | None = None) -> None:
    """Count and log hits that are lost, by reason and by the identifier of the link; from any thread."""
    for reason in {reason for reason, _ in lost}:
        identifiers = Counter({name: number for (why, name), number in lost.items() if why == reason})
        count(reason, identifiers.total())
        _log(reason, identifiers, error=error)


class Losses:
    """What one group of hits has lost."""

    def __init__(self) -> None:
        self.count: Counter[HitLoss] = Counter()
        """Hits lost, by reason."""
        self._lock = threading.Lock()
        self._noted: Counter[tuple[HitLoss, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, lost: Mapping[tuple[HitLoss, str], int], *, error: Exception | None = None) -> None:
        """Count and log the losses, as `tell` does, and as this group's."""
        with self._lock:
            for (reason, _), number in lost.items():
                self.count[reason] += number
        tell(lost, error=error)

    def note(self, reason: HitLoss, identifier: str, *, loop: asyncio.AbstractEventLoop) -> None:
        """Tell of one loss on an event loop; further ones of the same second are told together."""
        self._noted[reason, identifier] += 1
        if self._timer is None or self._timer.when() <= loop.time():
            self._flush(loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        noted, self._noted, self._timer = self._noted, Counter(), None
        if noted:
            self.tell(noted)
            self._timer = loop.call_later(LOG_EVERY_S, self._flush, loop)


def _log(reason: HitLoss, identifiers: Counter[str], *, error: Exception | None) -> None:
    facts = {"action": "hit.lost", "reason": str(reason)}
    if identifiers.total() == 1:
        (identifier,) = identifiers
        logger.error("A hit on %r is lost (%s).", identifier, reason, exc_info=error, extra=facts)
        return
    named = ", ".join(f"{name!r} ({number})" for name, number in identifiers.most_common(NAMED))
    logger.error(
        "%d hits on %d links are lost (%s): %s",
        identifiers.total(),
        len(identifiers),
        reason,
        named,
        exc_info=error,
        extra=facts,
    )
