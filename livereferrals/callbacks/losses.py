"""Taking back what a dead worker left `sending` (callbacks, section 3, transitions 7 and 8)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from django.db import connections

from livereferrals import conf
from livereferrals.callbacks import erasing, metrics, transitions
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState
from livereferrals.callbacks.notices import Notice, delivery_entry
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.events import bulk, log

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


CHANGED = ("state", "lost", "lease_token", "last_outcome", "last_status", "due_at", "end_reason", "finished_at")


def is_any_left(alias: str, *, endpoints: Collection[int]) -> bool:
    """Whether there are such rows: nearly never. One query."""
    sending = bulk.one_of("subscription_id", using=alias)
    with connections[alias].cursor() as cursor:
        cursor.execute(
            f"SELECT 1 FROM {Delivery._meta.db_table} WHERE {sending} AND state = %s LIMIT 1",  # noqa: S608 - names of our own
            [bulk.keys(endpoints, using=alias), DeliveryState.SENDING],
        )
        return cursor.fetchone() is not None


def take_back(alias: str, *, endpoints: Collection[int], now: datetime) -> list[Notice]:
    """Make the `sending` rows of newly leased endpoints wait again, or condemn them at the third loss.

    In the lease's transaction.
    """
    rows = list(
        Delivery.objects.using(alias)
        .filter(subscription__in=endpoints, state=DeliveryState.SENDING)
        .select_related("subscription__partner")
        .select_for_update(of=("self",))
    )
    notices = []
    for delivery in rows:
        attempt = _lose(delivery, now=now)
        delivery.save(using=alias, update_fields=CHANGED)
        attempt.save(using=alias)
        if delivery.state != DeliveryState.WAITING:
            notices.append(Notice(delivery=delivery, attempt=attempt, final=True))
    metrics.lost(len(rows))
    entries = [
        delivery_entry(notice.delivery, outcome=notice.delivery.state, reason=notice.delivery.end_reason, now=now)
        for notice in notices
    ]
    if entries:
        log.append_all([entry for entry in entries if entry is not None])
    return notices


def _lose(delivery: Delivery, *, now: datetime) -> DeliveryAttempt:
    # Random waits only keep partners' servers from bursts.
    given = transitions.Chances(now=now, waits=conf.callbacks.RETRY_SCHEDULE, chance=random.random())  # noqa: S311
    tries = delivery.attempts - delivery.schedule_from
    step = erasing.without_repeat(delivery, transitions.after_loss(delivery.lost + 1, tries=tries, given=given))
    delivery.lost += 1
    delivery.lease_token = None
    delivery.last_outcome = Outcome.LOST
    delivery.last_status = None
    delivery.state = step.state
    if step.due_at is not None:
        delivery.due_at = step.due_at
    if step.end_reason is not None:
        delivery.end_reason = step.end_reason
        delivery.finished_at = now
    return DeliveryAttempt(
        delivery=delivery,
        number=delivery.attempts,
        started_at=now,
        outcome=Outcome.LOST,
        error="the worker ended in the middle of this attempt",
    )
