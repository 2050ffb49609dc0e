"""Retention of what was sent: attempts 30 days, deliveries 180 days after their end (callbacks, section 2)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import router

from livereferrals.callbacks.models import ENDED, Delivery, DeliveryAttempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import QuerySet

KEEP_ATTEMPTS: Final = timedelta(days=30)
KEEP_DELIVERIES: Final = timedelta(days=180)
BATCH: Final = 500
"""Rows removed in one transaction at most."""


def old_attempts(now: datetime) -> QuerySet[DeliveryAttempt]:
    """Return the attempts whose time is over. No query yet."""
    return DeliveryAttempt.objects.using(_alias()).filter(started_at__lt=now - KEEP_ATTEMPTS)


def old_deliveries(now: datetime, *, state: str | None = None) -> QuerySet[Delivery]:
    """Return the deliveries that ended, in one state or in any, and whose time is over. No query yet."""
    states = ENDED if state is None else (state,)
    return Delivery.objects.using(_alias()).filter(state__in=states, finished_at__lt=now - KEEP_DELIVERIES)


def prune_attempts(now: datetime) -> Iterator[int]:
    """Remove old attempts, oldest first, in batches; give the number of each. Two statements along an index."""
    yield from _remove(old_attempts(now).order_by("started_at"))


def prune_deliveries(now: datetime) -> Iterator[int]:
    """Remove deliveries that ended long ago, with what is left of their attempts, in batches; give the number of each."""
    for state in ENDED:  # one at a time, along the index of state and end
        yield from _remove(old_deliveries(now, state=state).order_by("finished_at"))


def _remove(rows: QuerySet[Any]) -> Iterator[int]:
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.using(_alias()).filter(pk__in=batch).delete()
        yield len(batch)


def _alias() -> str:
    return router.db_for_write(Delivery)
