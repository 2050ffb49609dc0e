"""How long deliveries and attempts are kept: what is younger stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from livereferrals.callbacks import retention
from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from tests.factories import make_delivery

pytestmark = pytest.mark.django_db


def test_attempts_of_the_last_thirty_days_stay() -> None:
    """Y-02: the time counts from the start of the attempt."""
    now = timezone.now()
    delivery = make_delivery()
    for number, days in enumerate((31, 29, 1), 1):
        delivery.attempt_log.create(number=number, started_at=now - timedelta(days=days), outcome="ok")
    assert sum(retention.prune_attempts(now)) == 1
    assert set(DeliveryAttempt.objects.values_list("number", flat=True)) == {2, 3}


@pytest.mark.parametrize("state", ["delivered", "dead", "cancelled"])
def test_deliveries_that_ended_in_the_last_180_days_stay_and_so_does_what_waits(state: str) -> None:
    """Y-02: the time counts from the end; what has not ended is never forgotten."""
    now = timezone.now()
    ended = [make_delivery(state=state, finished_at=now - timedelta(days=days)) for days in (181, 179, 1)]
    waiting = make_delivery(due_at=now - timedelta(days=400), created_at=now - timedelta(days=400))
    assert sum(retention.prune_deliveries(now)) == 1
    assert set(Delivery.objects.values_list("pk", flat=True)) == {ended[1].pk, ended[2].pk, waiting.pk}
