"""What a page says of one delivery, and the figures of an endpoint."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from livereferrals.callbacks import figures, stories
from livereferrals.callbacks.holds import HoldKind
from livereferrals.callbacks.models import Delivery, Endpoint
from tests.factories import make_delivery, make_subscription

pytestmark = pytest.mark.django_db


def story_of(row: Delivery) -> stories.Story:
    return stories.story_of(Delivery.objects.get(pk=row.pk), now=timezone.now(), with_attempts=True)


def test_story_counts_down_until_it_is_due_and_ends_with_the_delivery() -> None:
    """D-15, dashboard-31"""
    later = make_delivery(due_at=timezone.now() + timedelta(hours=1))
    assert (story_of(later).is_moving, story_of(later).counts_down, story_of(later).is_due) == (True, True, False)
    assert story_of(make_delivery()).is_due
    ended = make_delivery(state="delivered", finished_at=timezone.now())
    assert (story_of(ended).is_moving, story_of(ended).counts_down) == (False, False)


def test_gate_holds_until_a_time_that_is_known_and_never_a_test() -> None:
    """D-15: a pause that a partner's server asked for ends by itself; a test does not wait for it."""
    row = make_delivery()
    until = timezone.now() + timedelta(minutes=5)
    Endpoint.objects.update(gate_until=until, gate_reason="retry_after")
    hold = story_of(row).hold
    assert hold is not None
    assert (hold.kind, hold.until) == (HoldKind.GATE, until)
    test = make_delivery(subscription=row.subscription, confirmation=None, kind="test")
    assert story_of(test).hold is None


def test_figures_leave_out_tests_and_what_says_nothing_of_the_server() -> None:
    """D-15: a test counts for nothing; nor does an attempt that a worker lost."""
    subscription = make_subscription()
    for kind, outcome in (("confirmation", "ok"), ("confirmation", "lost"), ("test", "timeout")):
        row = make_delivery(
            subscription=subscription, confirmation=None, kind=kind, state="delivered", finished_at=timezone.now()
        )
        row.attempt_log.create(number=1, started_at=timezone.now(), outcome=outcome, duration_ms=10)
    found = figures.of_subscriptions([subscription.pk], now=timezone.now())[subscription.pk]
    assert (found.attempts, found.rate, found.delivered, found.waiting) == (1, 1.0, 2, 0)


def test_percentiles_are_values_that_were_measured() -> None:
    """D-15: nearest rank."""
    times = list(range(1, 101))
    assert [figures.percentile(times, part) for part in (0.5, 0.95)] == [50, 95]
    assert figures.percentile([7], 0.95) == 7
    assert figures.percentile([], 0.5) is None
