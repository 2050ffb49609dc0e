"""How endpoints are doing: success rate, times, backlog and its age, from bounded readings (callbacks, section 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Count

from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryKind, DeliveryState
from livereferrals.callbacks.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

SPAN: Final = timedelta(hours=24)
SAMPLE: Final = 300
"""Newest deliveries of an endpoint whose attempts the rate and the times are taken of."""
COUNTED: Final = 10_000
"""What waits is counted to here and no further: a count to the end grows with the backlog."""
HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)
NOT_ITS_OWN: Final = (Outcome.LOST, Outcome.CANCELLED, Outcome.UNRENDERABLE)
"""Attempts that say nothing of the partner's server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers of one endpoint."""

    waiting: int = 0
    """At most `COUNTED + 1`, which means more than `COUNTED`."""
    oldest_due: datetime | None = None
    """When the first of them was, or will be, due."""
    sending: int = 0
    delivered: int = 0
    """In the last hour."""
    dead: int = 0
    """Given up in the last seven days."""
    attempts: int = 0
    """Of the last 24 hours, of the newest `SAMPLE` deliveries: what rate and times are taken of."""
    rate: float | None = None
    """Part of them that succeeded."""
    p50_ms: int | None = None
    p95_ms: int | None = None

    @property
    def is_much(self) -> bool:
        """Whether more wait than were counted."""
        return self.waiting > COUNTED

    def overdue(self, now: datetime) -> timedelta:
        """Return how long the first one has been due; nothing where it is not yet."""
        return max(timedelta(0), now - self.oldest_due) if self.oldest_due is not None else timedelta(0)


def of_subscriptions(pks: Collection[int], *, now: datetime) -> dict[int, Figures]:
    """Return the figures of these endpoints: two queries, and four short ones for each."""
    delivered = _ended(pks, DeliveryState.DELIVERED, since=now - HOUR)
    dead = _ended(pks, DeliveryState.DEAD, since=now - WEEK)
    return {pk: _figures(pk, delivered=delivered.get(pk, 0), dead=dead.get(pk, 0), now=now) for pk in pks}


def _ended(pks: Collection[int], state: DeliveryState, *, since: datetime) -> dict[int, int]:
    rows = Delivery.objects.filter(state=state, finished_at__gte=since, subscription_id__in=pks)
    counted = rows.exclude(kind=DeliveryKind.TEST).order_by().values_list("subscription_id").annotate(Count("pk"))
    return dict(counted)


def _figures(pk: int, *, delivered: int, dead: int, now: datetime) -> Figures:
    waiting = Delivery.objects.filter(subscription=pk, state=DeliveryState.WAITING).order_by("due_at", "id")
    newest = Delivery.objects.filter(subscription=pk).exclude(kind=DeliveryKind.TEST).order_by("-created_at")
    ids = list(newest.values_list("pk", flat=True)[:SAMPLE])
    rows = DeliveryAttempt.objects.filter(delivery__in=ids, started_at__gte=now - SPAN).exclude(outcome__in=NOT_ITS_OWN)
    attempts = list(rows.order_by().values_list("outcome", "duration_ms"))
    times = sorted(ms for _outcome, ms in attempts if ms is not None)
    good = sum(outcome == Outcome.OK for outcome, _ms in attempts)
    return Figures(
        waiting=waiting.values("pk")[: COUNTED + 1].count(),
        oldest_due=waiting.values_list("due_at", flat=True).first(),
        sending=Delivery.objects.filter(subscription=pk, state=DeliveryState.SENDING).count(),
        delivered=delivered,
        dead=dead,
        attempts=len(attempts),
        rate=good / len(attempts) if attempts else None,
        p50_ms=percentile(times, 0.50),
        p95_ms=percentile(times, 0.95),
    )


def percentile(times: Sequence[int], part: float) -> int | None:
    """Return the value that this part of the sorted ones does not exceed (nearest rank)."""
    return times[max(0, math.ceil(part * len(times)) - 1)] if times else None
