"""How partners are doing, in numbers for a page of the list: three queries, however many partners there are (D-04)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Count, Q
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.tracking.models import Confirmation, ReferralHit

if TYPE_CHECKING:
    from collections.abc import Collection

SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a partner's row shows besides its name."""

    hits: int = 0
    """Of the last 30 days, repeats and flagged ones included."""
    confirmations: int = 0
    """Of the last 30 days, those that still stand."""
    retrying: int = 0
    """Deliveries that failed and will be tried again."""
    given_up: int = 0
    """Deliveries of the last 30 days that were given up."""


NOTHING = Standing()


def of_partners(pks: Collection[int], *, now: datetime | None = None) -> dict[int, Standing]:
    """Return the numbers of these partners. Three queries."""
    since = (now or timezone.now()) - SPAN
    hits = ReferralHit.objects.filter(partner_id__in=pks, created_at__gte=since)
    confirmed = Confirmation.objects.filter(partner_id__in=pks, occurred_at__gte=since, reversed_at__isnull=True)
    failing = _failing(pks, since=since)
    counted_hits = dict(hits.order_by().values_list("partner_id").annotate(Count("pk")))
    counted = dict(confirmed.order_by().values_list("partner_id").annotate(Count("pk")))
    return {
        pk: Standing(
            hits=counted_hits.get(pk, 0),
            confirmations=counted.get(pk, 0),
            retrying=failing.get(pk, (0, 0))[0],
            given_up=failing.get(pk, (0, 0))[1],
        )
        for pk in pks
    }


def _failing(pks: Collection[int], *, since: datetime) -> dict[int, tuple[int, int]]:
    retrying = Q(state=DeliveryState.WAITING, attempts__gt=0)
    given_up = Q(state=DeliveryState.DEAD, finished_at__gte=since)
    rows = (
        Delivery.objects.filter(retrying | given_up, subscription__partner_id__in=pks)
        .order_by()
        .values_list("subscription__partner_id")
        .annotate(retrying=Count("pk", filter=retrying), given_up=Count("pk", filter=given_up))
    )
    return {pk: (first, second) for pk, first, second in rows}
