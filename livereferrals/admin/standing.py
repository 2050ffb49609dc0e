"""How partners are doing, in numbers for a page of the list: a few queries, however many partners and hits there are (D-04)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Count, Q
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.dashboard import ranges, snapshots, statistics
from livereferrals.dashboard.ranges import Range
from livereferrals.dashboard.sources import By
from livereferrals.events.log import Bounds

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from livereferrals.tracking.models import Partner


AS_IT_IS: Final = Bounds(epoch="", head=2**63 - 1, oldest=0)
"""Everything that is numbered now: nothing else stands on the page that would have to agree with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a partner's row shows besides its name: of 30 days, as the dashboard's range of that name has them."""

    hits: int = 0
    """Repeats included, flagged ones not."""
    confirmations: int = 0
    """Those that still stand."""
    retrying: int = 0
    """Deliveries that failed and will be tried again, whenever they began."""
    given_up: int = 0
    """Deliveries that were given up."""


def of_partners(partners: Collection[Partner], *, now: datetime | None = None) -> dict[int, Standing]:
    """Return the numbers of these partners, by primary key. Five queries, over totals in place of hits."""
    span = ranges.span_of(Range.MONTH, now=now or timezone.now(), zone=timezone.get_default_timezone())
    with snapshots.one_moment():
        found = statistics.Figures(AS_IT_IS).divided(span, by=By.PARTNER, only={partner.uid for partner in partners})
        failing = _failing([partner.pk for partner in partners], since=span.start)
    nothing = statistics.Numbers(amounts={})
    standings = {}
    for partner in partners:
        numbers = found.get(partner.uid, nothing)
        retrying, given_up = failing.get(partner.pk, (0, 0))
        standings[partner.pk] = Standing(
            hits=numbers.hits, confirmations=numbers.confirmations, retrying=retrying, given_up=given_up
        )
    return standings


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
