"""The test button: one call with sample values, marked as a test, by the same way as all others (D-15).

It is queued and made by a worker, never from the web request; also while the endpoint is held. It is not retried and
counts for nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _

from livereferrals.callbacks import clock, recording
from livereferrals.callbacks.models import Delivery, DeliveryKind, Subscription
from livereferrals.callbacks.samples import sample_event
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.callbacks.waking import wake_workers
from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import EventLog

if TYPE_CHECKING:
    from datetime import datetime

ONE_IN: Final = timedelta(seconds=5)
"""Between two tests of one subscription (callback-S17)."""
MINUTE: Final = timedelta(minutes=1)
MOST_A_MINUTE: Final = 60
"""Tests of the whole site."""


class NotTested(StrEnum):
    """Why no test was queued."""

    TOO_SOON = "too_soon"
    TOO_MANY = "too_many"
    ARCHIVED = "archived"
    NO_ADDRESS = "no_address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of pressing the button."""

    delivery: Delivery | None = None
    """Queued; its attempt has the partner's answer, soon."""
    refused: NotTested | None = None
    wait_s: int = 0
    """For "too soon": after how many seconds it may be pressed again."""

    def in_words(self) -> str:
        """Say why nothing was sent; empty where something is."""
        return {
            None: "",
            NotTested.TOO_SOON: _("A test was sent just now: try again in %(seconds)s s.") % {"seconds": self.wait_s},
            NotTested.TOO_MANY: _("There were %(count)s tests in the last minute: try again a little later.")
            % {"count": MOST_A_MINUTE},
            NotTested.ARCHIVED: _("The subscription is archived."),
            NotTested.NO_ADDRESS: _("The subscription has no address to call."),
        }[self.refused]


def send_test(subscription: Subscription, *, by: Any) -> Trial:
    """Queue one test call, unless there was one just now.

    One transaction, under the lock of the log's row, so that the limits hold for several processes.
    """
    with short_transaction(alias()):
        lock_singleton(EventLog, using=alias())
        row = Subscription.objects.using(alias()).select_related("partner").get(pk=subscription.pk)
        now = clock.now(alias())
        refused = _refusal(row, now=now)
        if refused is not None:
            return refused
        delivery = Delivery.objects.using(alias()).create(
            subscription=row,
            kind=DeliveryKind.TEST,
            payload=sample_event(trigger=row.trigger, partner_uid=row.partner.uid, at=now),
            due_at=now,
            created_at=now,
        )
        recording.record(by, [row], _("Test call sent."), action="endpoint.tested")
    wake_workers()
    return Trial(delivery=delivery)


def _refusal(row: Subscription, *, now: datetime) -> Trial | None:
    if row.archived_at is not None:
        return Trial(refused=NotTested.ARCHIVED)
    if not row.callback_url:
        return Trial(refused=NotTested.NO_ADDRESS)
    tests = Delivery.objects.using(alias()).filter(kind=DeliveryKind.TEST, created_at__gt=now - MINUTE)
    times = list(tests.order_by("-created_at").values_list("subscription_id", "created_at")[:MOST_A_MINUTE])
    last = next((made for key, made in times if key == row.pk), None)
    if last is not None and now - last < ONE_IN:
        return Trial(refused=NotTested.TOO_SOON, wait_s=math.ceil((ONE_IN - (now - last)).total_seconds()))
    return Trial(refused=NotTested.TOO_MANY) if len(times) >= MOST_A_MINUTE else None
