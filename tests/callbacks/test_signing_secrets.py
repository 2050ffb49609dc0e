"""Secrets are rotated while calls go on: both sign for a time, then the new one alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from livereferrals.callbacks import signing_secrets
from livereferrals.callbacks.models import DeliveryState, SigningSecret
from tests.callbacks.running import owe, running_worker, subscribe, wait_for_state
from tests.factories import make_subscription
from tests.partner import Answer

if TYPE_CHECKING:
    from tests.partner import Call
    from tests.servers import PartnerSink

pytestmark = pytest.mark.django_db


def verified_by(call: Call, *secrets: str) -> list[bool]:
    found = []
    for secret in secrets:
        try:
            Webhook(secret).verify(call.body, dict(call.headers))
            found.append(True)
        except WebhookVerificationError:
            found.append(False)
    return found


@pytest.mark.django_db(transaction=True)
def test_rotation_between_two_attempts_signs_with_both_and_afterwards_with_the_new_one(sink: PartnerSink) -> None:
    """callback-F55: the partner may check with either during the overlap."""
    subscription = subscribe(sink.url())
    old = SigningSecret.objects.get().value
    sink.answer_with(Answer(status=500))
    first = owe(subscription)
    with running_worker():
        sink.wait_for(1)
        new = signing_secrets.rotate(subscription, by=None).value
        wait_for_state(first, DeliveryState.DELIVERED)
        signing_secrets.end_overlap(subscription, by=None)
        second = owe(subscription)
        wait_for_state(second, DeliveryState.DELIVERED)
    assert verified_by(sink.calls[0], old, new) == [True, False]
    assert verified_by(sink.calls[-2], old, new) == [True, True]
    assert verified_by(sink.calls[-1], old, new) == [False, True]


def test_three_sign_at_most_and_the_oldest_ends() -> None:
    """callback-F55, callback-S12: each one is made anew from 32 random bytes."""
    subscription = make_subscription()
    for _ in range(4):
        signing_secrets.rotate(subscription, by=None)
    living = list(signing_secrets.signing(subscription, now=timezone.now()))
    assert len(living) == 3
    assert [row.expires_at is None for row in living] == [True, False, False]
    assert len({row.value for row in SigningSecret.objects.all()}) == 5


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=31)], ids=["negative", "too-long"])
def test_overlap_that_makes_no_sense_is_refused(overlap: timedelta) -> None:
    """callback-F55"""
    with pytest.raises(ValueError, match="between 0 and 30 days"):
        signing_secrets.rotate(make_subscription(), by=None, overlap=overlap)
