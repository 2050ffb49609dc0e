"""What a worker bears: a stop, rows and receivers that fail, values that cannot be sent, events that are not there."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.events.models import Event
from livereferrals.signals import callback_delivered
from tests.callbacks.running import endpoint_of, owe, reload, running_worker, subscribe, wait_for_state
from tests.partner import Answer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


def test_value_that_cannot_be_rendered_ends_the_delivery_and_blames_nobody(sink: PartnerSink) -> None:
    """callback-S4: `unrenderable`, with an attempt that shows why and no request."""
    subscription = subscribe(sink.url("/{reference}/x"), method="GET")
    bad, good = owe(subscription, reference=".."), owe(subscription, reference="ok")
    with running_worker():
        wait_for_state(good, DeliveryState.DELIVERED)
        dead = wait_for_state(bad, DeliveryState.DEAD)
    assert dead.end_reason == "unrenderable"
    assert "path" in dead.attempt_log.get().error
    assert [call.path for call in sink.calls] == ["/ok/x"]
    assert endpoint_of(subscription).consecutive_failures == 0


def test_receiver_that_raises_or_hangs_delays_no_delivery(sink: PartnerSink) -> None:
    """callback-F48: signals are sent after the commit, in a thread of their own, whatever receivers do."""
    let_go = threading.Event()

    def hang(**kwargs: Any) -> None:
        let_go.wait(120)
        raise ZeroDivisionError

    callback_delivered.connect(hang)
    subscription = subscribe(sink.url())
    try:
        with running_worker():
            for _ in range(3):
                delivery = owe(subscription)
                wait_for_state(delivery, DeliveryState.DELIVERED)
            let_go.set()
    finally:
        callback_delivered.disconnect(hang)


def test_delivery_whose_event_has_no_number_is_not_started(sink: PartnerSink) -> None:
    """callback-F19: else the body of the first attempt would differ from the second's."""
    subscription = subscribe(sink.url())
    delivery = owe(subscription)
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now() + timedelta(hours=1))
    event = Event.objects.get(pk=str(delivery.event))
    with running_worker() as worker:
        Event.objects.filter(pk=event.pk).update(seq=None, numbered_at=None)
        Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())
        worker.wake()
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    assert done.payload is not None
    assert sink.calls[0].json()["cursor"] == done.payload["cursor"] is not None


def test_pruned_event_is_delivered_without_a_cursor(sink: PartnerSink) -> None:
    """callback-F20: a delivery may wait longer than the log remembers."""
    delivery = owe(subscribe(sink.url()))
    Event.objects.filter(pk=str(delivery.event)).delete()
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
    assert sink.calls[0].json()["cursor"] is None


def test_stopping_worker_lets_requests_end_and_gives_the_rest_back(sink: PartnerSink, settings: Any) -> None:
    """callback-F31: a deploy repeats nothing: results are stored, what has not left is due again."""
    sink.default = Answer(delay_s=0.5)
    subscription = subscribe(sink.url(), max_in_flight=2)
    for _ in range(6):
        owe(subscription)
    with running_worker():
        wait_until(lambda: len(sink.calls) == 2)
    assert Delivery.objects.filter(state="delivered").count() >= 2
    assert not Delivery.objects.filter(state="sending").exists()
    assert endpoint_of(subscription).lease_token is None
    assert Delivery.objects.filter(state="waiting", attempts=0).count() == 6 - len(sink.calls)


def test_stopping_worker_does_not_wait_for_ever(sink: PartnerSink, settings: Any) -> None:
    """callback-F31: after its grace a request that has left counts as tried."""
    settings.LIVEREFERRALS = {
        "CALLBACKS": settings.LIVEREFERRALS["CALLBACKS"] | {"SHUTDOWN_GRACE": 0.3, "RETRY_SCHEDULE": [60]}
    }
    sink.default = Answer(manner="hang")
    delivery = owe(subscribe(sink.url(), timeout_s=30))
    with running_worker():
        wait_until(lambda: len(sink.calls) == 1)
    row = reload(delivery)
    assert (row.state, row.attempts, row.last_outcome) == ("waiting", 1, "cancelled")
    assert endpoint_of(row.subscription).consecutive_failures == 0


def test_exception_of_a_kind_never_seen_fails_its_delivery_only(
    sink: PartnerSink, caplog: pytest.LogCaptureFixture
) -> None:
    """callback-F38: outcome `error`, retried, the traceback masked in the log; the worker lives."""
    failures = iter([True])

    def fail_once(stage: str, _delivery: object) -> None:
        if stage == "started" and next(failures, False):
            raise ZeroDivisionError("https://partner.example/?token=abcdef")

    delivery = owe(subscribe(sink.url()))
    with running_worker(at_point=fail_once):
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    assert [attempt.outcome for attempt in done.attempt_log.all()] == ["error", "ok"]
    assert "ZeroDivisionError" in caplog.text
    assert "abcdef" not in caplog.text


def test_rows_that_nobody_can_make_anything_of_fail_alone(sink: PartnerSink) -> None:
    """callback-F38: they do not keep the others from starting, turn after turn."""
    payloads: list[Any] = [[1], "text", {"cursor": None}, {"cursor": "a.1", "data": 5}]
    bad = []
    for payload in payloads:
        delivery = owe(subscribe(sink.url("/{reference}"), method="GET"))
        Delivery.objects.filter(pk=delivery.pk).update(payload=payload)
        bad.append(delivery)
    good = owe(subscribe(sink.url("/good")))
    with running_worker():
        wait_for_state(good, DeliveryState.DELIVERED)
        wait_until(lambda: all(reload(delivery).last_outcome == "error" for delivery in bad))
    assert [call.path for call in sink.calls] == ["/good"]
