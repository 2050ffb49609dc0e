"""Pause, enable, archive and test calls, with real workers."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from livereferrals.callbacks import holding, housekeeping, trying
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint
from livereferrals.callbacks.trying import NotTested
from livereferrals.events.models import Event
from tests.callbacks.running import owe, reload, running_worker, subscribe, wait_for_state
from tests.factories import make_delivery, make_staff, make_subscription
from tests.partner import Answer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.servers import PartnerSink

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_paused_endpoint_starts_nothing_new_and_enabling_sends_all(sink: PartnerSink) -> None:
    """callback-F52: what is under way ends, what waits is not written, none is used up."""
    subscription = subscribe(sink.url(), max_in_flight=2)
    sink.default = Answer(delay_s=0.3)
    for _ in range(12):
        owe(subscription)
    with running_worker():
        sink.wait_for(2)
        holding.pause(subscription, by=None)
        # What had been started when this committed may still reach the partner.
        started = Delivery.objects.exclude(state=DeliveryState.WAITING).count()
        wait_until(lambda: not Delivery.objects.filter(state=DeliveryState.SENDING).exists())
        wait_until(lambda: not Endpoint.objects.get().lease_token, what="the endpoint's release")
        assert len(sink.calls) == started
        held = Delivery.objects.filter(state=DeliveryState.WAITING)
        assert held.count() == 12 - started
        assert set(held.values_list("attempts", flat=True)) == {0}
        holding.enable(subscription, by=None)
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 12)
    assert len(sink.calls) == 12
    outcomes = [event.data["outcome"] for event in Event.objects.filter(data__delivery=None).order_by("seq")]
    assert outcomes == ["paused", "active"]


def test_pausing_writes_one_row_however_much_waits() -> None:
    """callback-F52: the statements do not grow with the backlog, and no delivery is touched."""
    subscription = make_subscription()
    for _ in range(5):
        make_delivery(subscription=subscription)
    with CaptureQueriesContext(connection) as queries:
        assert holding.pause(subscription, by=make_staff(), reason="x" * 300)
        assert holding.enable(subscription, by=None)
    assert not [query for query in queries if '"livereferrals_delivery"' in query["sql"]]
    assert holding.enable(subscription, by=None) is False


@pytest.mark.django_db(transaction=True)
def test_archived_subscription_ends_what_waits_and_keeps_its_history(sink: PartnerSink) -> None:
    """callback-F51: those under way finish and are logged."""
    subscription = subscribe(sink.url(), max_in_flight=4)
    sink.default = Answer(delay_s=0.5)
    rows = [owe(subscription) for _ in range(30)]
    with running_worker():
        sink.wait_for(4)
        subscription.archived_at = timezone.now()
        subscription.save(update_fields=["archived_at"])
        housekeeping.end_unsendable()
        wait_until(lambda: not Delivery.objects.exclude(state__in=["delivered", "cancelled"]).exists())
    states = [reload(row) for row in rows]
    delivered = [row for row in states if row.state == "delivered"]
    assert len(delivered) == len(sink.calls) < 30
    assert all(row.attempt_log.count() == 1 for row in delivered)
    assert {row.end_reason for row in states if row.state == "cancelled"} == {"archived"}


@pytest.mark.django_db(transaction=True)
def test_test_call_works_while_held_and_counts_for_nothing(sink: PartnerSink) -> None:
    """callback-F20, callback-S17: marked in URL and body, signed like all others, not retried, before the backlog."""
    subscription = subscribe(sink.url("/cb?test={test}&order={reference}"))
    sink.answer_with(Answer(status=500, body=b"no such order"))
    waiting = owe(subscription)
    holding.pause(subscription, by=None)
    trial = trying.send_test(subscription, by=None)
    assert trial.delivery is not None
    with running_worker():
        done = wait_for_state(trial.delivery, DeliveryState.DEAD)
        attempt = done.attempt_log.get()
        assert (attempt.status, attempt.response_excerpt) == (500, "no such order")
        holding.enable(subscription, by=None)
        wait_for_state(waiting, DeliveryState.DELIVERED)
    first = sink.calls[0]
    assert first.target == f"{sink.prefix}/cb?test=1&order=A-1001"
    assert first.json()["test"] is True
    assert "test" not in sink.calls[1].json()
    endpoint = Endpoint.objects.get()
    assert (endpoint.consecutive_failures, endpoint.failing_since) == (0, None)
    assert not Event.objects.filter(data__delivery=str(trial.delivery.pk)).exists()


def test_tests_are_limited_for_a_subscription_and_for_the_site() -> None:
    """callback-S17: one in 5 s, 60 a minute, whatever subscription they are for."""
    subscription = make_subscription()
    assert trying.send_test(subscription, by=None).delivery is not None
    again = trying.send_test(subscription, by=None)
    assert again.refused is NotTested.TOO_SOON
    assert 1 <= again.wait_s <= 5
    assert again.in_words()
    Delivery.objects.update(created_at=timezone.now() - timedelta(seconds=6))
    assert trying.send_test(subscription, by=None).delivery is not None
    now = timezone.now() - timedelta(seconds=20)
    for _ in range(58):
        make_delivery(subscription=subscription, confirmation=None, kind="test", created_at=now)
    assert trying.send_test(make_subscription(), by=None).refused is NotTested.TOO_MANY
    Delivery.objects.filter(created_at=now).update(created_at=now - timedelta(minutes=1))
    assert trying.send_test(make_subscription(), by=None).delivery is not None


def test_what_is_called_no_more_is_not_tested() -> None:
    """callback-S17: an archived subscription, or one without an address."""
    assert trying.send_test(make_subscription(archived_at=timezone.now()), by=None).refused is NotTested.ARCHIVED
    assert trying.send_test(make_subscription(callback_url=""), by=None).refused is NotTested.NO_ADDRESS


@pytest.mark.django_db(transaction=True)
def test_two_who_test_at_once_make_one_call() -> None:
    """callback-S17: the limit holds for several processes."""
    subscription = make_subscription()
    made: list[trying.Trial] = []

    def press() -> None:
        made.append(trying.send_test(subscription, by=None))
        connections.close_all()

    pressing = [threading.Thread(target=press) for _ in range(4)]
    for thread in pressing:
        thread.start()
    for thread in pressing:
        thread.join(60)
    assert sorted(trial.refused or "" for trial in made) == ["", *["too_soon"] * 3]
    assert Delivery.objects.count() == 1
