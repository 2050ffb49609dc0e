"""What waits, for metrics: counted, and how long the first has been due that can be made."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from livereferrals.callbacks import backlog, metrics
from livereferrals.callbacks.models import Endpoint, EndpointState
from livereferrals.housekeeping.keeper import Housekeeper
from tests.factories import make_delivery, make_subscription
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


def value(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"livereferrals_callback_{name}")


def test_what_waits_is_counted_and_what_is_held_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused endpoint's deliveries wait and are not overdue."""
    now = timezone.now()
    assert backlog.look() == backlog.Backlog(waiting=0, oldest_due=None)
    paused = make_subscription()
    Endpoint.objects.filter(subscription=paused).update(state=EndpointState.PAUSED)
    make_delivery(subscription=paused, due_at=now - timedelta(days=1))
    first = make_delivery(due_at=now - timedelta(minutes=5))
    make_delivery(subscription=first.subscription, due_at=now + timedelta(minutes=5))
    make_delivery(state="delivered", finished_at=now, due_at=now - timedelta(days=9))
    found = backlog.look()
    assert (found.waiting, found.oldest_due) == (3, first.due_at)
    assert found.overdue_s(now) == 300
    assert found.overdue_s(now - timedelta(hours=1)) == 0
    monkeypatch.setattr(backlog, "COUNTED", 1)
    assert backlog.look().waiting == 2


@pytest.mark.django_db(transaction=True)
def test_housekeeper_tells_what_waits() -> None:
    make_delivery(due_at=timezone.now() - timedelta(minutes=5))
    metrics.waits(0, overdue_s=0)
    keeper = Housekeeper()
    keeper.start()
    try:
        wait_until(lambda: value("waiting") == 1)
        assert (value("oldest_due_seconds") or 0) >= 300
    finally:
        keeper.stop()
