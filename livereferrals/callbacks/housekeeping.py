"""What becomes of deliveries that nobody will send: held for too long, or of an archived subscription."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Q

from livereferrals import conf
from livereferrals.callbacks import clock
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint, EndpointState, EndReason
from livereferrals.callbacks.notices import delivery_entry
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.events import log

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

BATCH: Final = 100
"""Deliveries ended in one transaction at most."""


def end_unsendable() -> int:
    """End what waits in vain, in batches; return how many deliveries that were.

    Endpoints are looked at first, because nearly all of what waits is on none of these: one query each, however much does.
    """
    now = clock.now(alias())
    held_since = now - timedelta(days=conf.callbacks.HOLD_DAYS)
    long_inactive = ~Q(state=EndpointState.ACTIVE) & Q(
        Q(state_changed_at__isnull=True) | Q(state_changed_at__lte=held_since), subscription__archived_at__isnull=True
    )
    partner_inactive = Q(subscription__partner__active=False, subscription__archived_at__isnull=True)
    return (
        _end(Q(subscription__archived_at__isnull=False), Q(), DeliveryState.CANCELLED, EndReason.ARCHIVED)
        + _end(long_inactive, Q(created_at__lte=held_since), DeliveryState.DEAD, EndReason.EXPIRED)
        + _end(partner_inactive, Q(due_at__lte=held_since), DeliveryState.DEAD, EndReason.EXPIRED)
    )


def _end(endpoints: Q, which: Q, state: DeliveryState, reason: EndReason) -> int:
    waiting = Delivery.objects.using(alias()).filter(which, state=DeliveryState.WAITING)
    concerned = Endpoint.objects.using(alias()).filter(endpoints, Exists(waiting.filter(subscription=OuterRef("pk"))))
    total = 0
    for key in list(concerned.values_list("pk", flat=True)):
        while ended := _end_batch(waiting.filter(subscription=key), state, reason):
            total += ended
            if ended < BATCH:
                break
    return total


def _end_batch(waiting: QuerySet[Delivery], state: DeliveryState, reason: EndReason) -> int:
    with short_transaction(alias()):
        now: datetime = clock.now(alias())
        rows = list(
            waiting.select_related("subscription__partner")
            .order_by("id")
            .select_for_update(skip_locked=True, of=("self",))[:BATCH]
        )
        Delivery.objects.using(alias()).filter(pk__in=[row.pk for row in rows], state=DeliveryState.WAITING).update(
            state=state, end_reason=reason, finished_at=now
        )
        entries = []
        for row in rows:
            row.state, row.end_reason = state, reason
            entries.append(delivery_entry(row, outcome=state, reason=reason, now=now))
        log.append_all([entry for entry in entries if entry is not None])
    return len(rows)
