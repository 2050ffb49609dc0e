"""Deliveries that are late, although nothing holds them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils import timezone
from django.utils.timesince import timesince

from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint, EndpointState
from livereferrals.management.diagnosis.findings import Finding, counted, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT: Final = "Deliveries"
LATE: Final = timedelta(minutes=5)
COUNTED: Final = 1_000


def overdue() -> Iterator[Finding]:
    """Count what was due five minutes ago and waits still, where the endpoint is active and asks for no pause."""
    now = timezone.now()
    open_ones = Endpoint.objects.filter(Q(gate_until__isnull=True) | Q(gate_until__lte=now), state=EndpointState.ACTIVE)
    late = Delivery.objects.filter(
        state=DeliveryState.WAITING, due_at__lt=now - LATE, subscription__in=open_ones.values("subscription")
    )
    due = list(late.order_by("due_at").values_list("due_at", flat=True)[: COUNTED + 1])
    if due:
        count = f"more than {COUNTED}" if len(due) > COUNTED else len(due)
        yield warning(
            ABOUT,
            f"{counted(count, 'is', 'are')} overdue, the oldest for {timesince(due[0], now)}.",
            advice="Does a worker run, and is it fast enough? See the delivery console, and docs/operations.md.",
        )
    else:
        yield ok(ABOUT, "None is overdue.")
    held = Endpoint.objects.exclude(state=EndpointState.ACTIVE).filter(subscription__archived_at__isnull=True).count()
    if held:
        yield warning(
            ABOUT,
            f"{counted(held, 'endpoint is', 'endpoints are')} paused or disabled.",
            advice="See the delivery console for the reason.",
        )
