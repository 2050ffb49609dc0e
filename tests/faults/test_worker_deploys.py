"""A deploy while a worker of the release before still runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState
from tests.callbacks.running import LOOPBACK, owe, running_worker, subscribe, wait_for_state
from tests.faults.killing import workers
from tests.partner import Answer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)
PATHS = ("/a", "/b", "/c")
OLD, NEW = [5] * 30, [3 * 3600] * 30
SOON, LATE = timedelta(minutes=1), timedelta(hours=1)


def test_old_and_new_workers_share_what_waits_and_each_attempt_follows_its_own_settings(
    sink: PartnerSink, settings: Any
) -> None:
    """callback-F40: what failed under the old schedule waits by the new one from its next attempt on; nothing is sent twice."""
    for path in PATHS:
        sink.answer_at(path, Answer(status=503))
        owe(subscribe(sink.url(path)))
    rows = Delivery.objects.all()
    with workers(1, LIVEREFERRALS={"CALLBACKS": {"RETRY_SCHEDULE": OLD}}) as (old,):
        wait_until(lambda: not rows.filter(attempts=0).exists(), what="An attempt of the old worker at each")
        assert not rows.filter(due_at__gt=timezone.now() + SOON).exists()
        settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK, "RETRY_SCHEDULE": NEW}}
        with running_worker():
            later = [owe(subscribe(sink.url(path))) for path in ("/d", "/e", "/f")]
            for row in later:
                wait_for_state(row, DeliveryState.DELIVERED)
            assert old.poll() is None
            old.kill()
            wait_until(
                lambda: not rows.filter(state="waiting", due_at__lt=timezone.now() + LATE).exists(),
                what="An attempt of the new worker",
            )
            assert DeliveryAttempt.objects.values("worker").distinct().count() == 2
    good = DeliveryAttempt.objects.filter(status=200)
    assert sorted(good.values_list("delivery", flat=True)) == sorted(row.pk for row in later)
