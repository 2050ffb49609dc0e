"""How much waits to be delivered, and since when: for metrics, by readings that do not grow with the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Min, OuterRef, Subquery

from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint, EndpointState

if TYPE_CHECKING:
    from datetime import datetime

COUNTED: Final = 10_000
"""What waits is counted to here and no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits."""

    waiting: int
    """At most `COUNTED + 1`, which means more than `COUNTED`."""
    oldest_due: datetime | None
    """When the first of those was due whose endpoint takes deliveries; it may lie ahead."""

    def overdue_s(self, now: datetime) -> float:
        """Return for how long the first one has been due."""
        return 0.0 if self.oldest_due is None else max(0.0, (now - self.oldest_due).total_seconds())


def look() -> Backlog:
    """Return what waits now. Two queries, along indexes: one row for each endpoint, and as many as are counted."""
    rows = Delivery.objects.filter(state=DeliveryState.WAITING)
    first = rows.filter(subscription=OuterRef("pk")).order_by("due_at", "id").values("due_at")[:1]
    open_ones = Endpoint.objects.filter(state=EndpointState.ACTIVE, subscription__archived_at__isnull=True)
    oldest = open_ones.annotate(due=Subquery(first)).aggregate(oldest=Min("due"))["oldest"]
    return Backlog(waiting=rows.order_by().values("pk")[: COUNTED + 1].count(), oldest_due=oldest)
