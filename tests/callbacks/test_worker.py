"""The worker, end to end: real rows, real requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from livereferrals.callbacks.models import DeliveryState, Endpoint
from tests.callbacks.running import owe, running_worker, subscribe, wait_for_state

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


def test_owed_delivery_is_posted_signed_with_its_event(sink: PartnerSink) -> None:
    """callback-S13: a POST carries the event in canonical form, a signature that the partner's library accepts."""
    subscription = subscribe(sink.url("/hook"))
    delivery = owe(subscription, reference="A-1")
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    (call,) = sink.calls
    assert call.method == "POST"
    secret = subscription.secrets.get().value
    event = Webhook(secret).verify(call.body, call.headers)
    assert event["data"]["reference"] == "A-1"
    assert event["cursor"]
    assert call.headers["webhook-id"] == str(delivery.pk)
    assert done.attempts == 1
    assert done.attempt_log.get().outcome == "ok"
    endpoint = Endpoint.objects.get(subscription=subscription)
    assert endpoint.lease_token is None
