"""Times: aware and in UTC, whatever the project's settings say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, ReferralHit, Reversal
from tests.callbacks.running import LOOPBACK, running_worker, subscribe, wait_for_state
from tests.factories import make_hit, make_link
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from types import SimpleNamespace

    from pytest_django import Settings

    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db
PAID = "Order paid"


def follow_pay_and_refund() -> Confirmation:
    """A referral's whole life: followed, paid an hour ago by the clock on the wall, refunded."""
    assert Client().get("/ref/abc123").status_code == 302
    hit = ReferralHit.objects.get()
    paid_at = datetime.now() - timedelta(hours=1)  # noqa: DTZ005 - what a host's naive field holds
    result = api.confirm(PAID, visitor=hit.visitor, reference="A-1", occurred_at=paid_at)
    assert result.confirmation is not None
    assert api.reverse(result.confirmation, reason="refund").created
    return Confirmation.objects.get()


def test_every_time_is_stored_aware(world: SimpleNamespace, shop: None) -> None:
    """N-17: a naive time of the host's is of the project's zone."""
    confirmation = follow_pay_and_refund()
    moments = [
        confirmation.occurred_at,
        confirmation.created_at,
        confirmation.reversed_at,
        ReferralHit.objects.get().created_at,
        Reversal.objects.get().created_at,
        Delivery.objects.get().due_at,
        *Event.objects.values_list("occurred_at", flat=True),
    ]
    assert all(moment is not None and moment.tzinfo is not None for moment in moments)
    age = timezone.now() - confirmation.occurred_at
    assert timedelta(minutes=59) < age < timedelta(minutes=61)
    assert confirmation.trace["at"].endswith("Z")
    told = datetime.fromisoformat(confirmation.trace["at"])
    assert abs(told - confirmation.occurred_at) < timedelta(milliseconds=1)


def test_without_time_zones_nothing_breaks(settings: Settings, world: SimpleNamespace, shop: None) -> None:
    """N-17: `USE_TZ=False`; what partners are told is in UTC all the same."""
    settings.USE_TZ = False
    confirmation = follow_pay_and_refund()
    told = datetime.fromisoformat(confirmation.trace["at"])
    assert timedelta(minutes=59) < datetime.now(UTC) - told < timedelta(minutes=61)


@pytest.mark.django_db(transaction=True)
def test_without_time_zones_partners_are_called_all_the_same(settings: Settings, sink: PartnerSink) -> None:
    """N-17: subscription, outbox and worker."""
    settings.USE_TZ = False
    settings.LIVEREFERRALS = {"TRIGGERS": TRIGGERS, "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}
    subscription = subscribe(sink.url())
    assert api.confirm(PAID, hit=make_hit(link=make_link(partner=subscription.partner))).created
    with running_worker():
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    told = datetime.fromisoformat(sink.calls[0].json()["time"])
    assert timedelta(0) <= datetime.now(UTC) - told < timedelta(minutes=1)
