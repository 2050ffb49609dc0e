"""The same questions to the table of hits, through Django's ORM: what somebody asks who has no rollups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q
from django.db.models.functions import TruncDay, TruncHour

from livereferrals.tracking.models import ReferralHit

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from livereferrals.dashboard.ranges import Span
    from livereferrals.dashboard.sources import By

NUMBERS = {"hits": Count("pk"), "visitors": Count("pk", filter=Q(repeat=False))}


def total(span: Span) -> dict[str, int]:
    """Return how many hits and visitors the span has."""
    return _within(span).aggregate(**NUMBERS)


def series(span: Span, *, hourly: bool, partner: int | None) -> list[Any]:
    """Return the same for each hour or day, of one partner where one is named."""
    rows = _within(span)
    if partner is not None:
        rows = rows.filter(partner=partner)
    part = (TruncHour if hourly else TruncDay)("created_at")
    return list(rows.values(part=part).annotate(**NUMBERS).order_by("part"))


def first(span: Span, *, by: By) -> list[Any]:
    """Return the twenty partners or links with most hits."""
    return list(_within(span).values(str(by)).annotate(**NUMBERS).order_by("-hits")[:20])


def _within(span: Span) -> QuerySet[ReferralHit]:
    return ReferralHit.objects.filter(created_at__gte=span.start, created_at__lt=span.end)
