"""The worker, end to end: real rows, real requests."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from livereferrals import conf
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState, Endpoint, EndpointState
from livereferrals.events.models import Event, EventType
from livereferrals.signals import callback_delivered, callback_failed
from tests.callbacks.running import endpoint_of, owe, reload, running_worker, subscribe, wait_for_state
from tests.partner import Answer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


def outcomes_told(delivery: Delivery | None = None) -> list[tuple[str, str | None]]:
    """Return outcome and reason of the log's events of a delivery, or of endpoints."""
    wanted = str(delivery.pk) if delivery is not None else None
    events = Event.objects.filter(type=EventType.DELIVERY).order_by("id")
    return [(e.data["outcome"], e.data["reason"]) for e in events if e.data["delivery"] == wanted]


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Any]]]:
    """What the host's receivers of the two signals get."""
    calls: list[tuple[str, Any]] = []

    def delivered(**kwargs: Any) -> None:
        calls.append(("delivered", kwargs))

    def failed(**kwargs: Any) -> None:
        calls.append(("failed", kwargs))

    callback_delivered.connect(delivered)
    callback_failed.connect(failed)
    yield calls
    callback_delivered.disconnect(delivered)
    callback_failed.disconnect(failed)


def test_owed_delivery_is_posted_signed_with_its_event(sink: PartnerSink) -> None:
    """callback-S13: a POST carries the event in canonical form and a signature that the partner's library accepts."""
    subscription = subscribe(sink.url("/hook"))
    delivery = owe(subscription, reference="A-1")
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
        wait_until(lambda: endpoint_of(subscription).lease_token is None)
    (call,) = sink.calls
    event = Webhook(subscription.secrets.get().value).verify(call.body, call.headers)
    assert event["data"]["reference"] == "A-1"
    assert event["cursor"]
    assert call.method == "POST"
    assert call.headers["webhook-id"] == str(delivery.pk)
    assert "." not in call.headers["webhook-id"]
    assert (done.attempts, done.last_status, done.attempt_log.get().outcome) == (1, 200, "ok")
    assert outcomes_told(delivery) == [("delivered", None)]


def test_get_carries_the_values_and_a_signature_of_its_own_kind(sink: PartnerSink) -> None:
    """D-11, callback-S13: the signed text of a GET is `GET` and its target, so that it can never pass for a POST."""
    url = sink.url("/pb/{confirmation_id}?ref={reference}&try={attempt}&hit={hit_timestamp}&v={visitor_id}")
    subscription = subscribe(url, method="GET")
    delivery = owe(subscription, reference="A 1/ü")
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
    (call,) = sink.calls
    assert call.path == f"/pb/{delivery.confirmation_id}"
    assert call.query["ref"] == ["A 1/ü"]
    assert call.query["try"] == ["1"]
    assert call.query["hit"][0].endswith("Z")
    assert delivery.confirmation is not None
    assert call.query["v"] == [str(delivery.confirmation.visitor_id)]
    webhook = Webhook(subscription.secrets.get().value)
    webhook.verify(f"GET {call.target}", call.headers, json_parse=False)


def test_new_delivery_is_made_within_the_poll_interval_of_its_commit(sink: PartnerSink) -> None:
    """callback-F48: a waiting worker finds what is committed by itself or by a hint."""
    subscription = subscribe(sink.url())
    with running_worker():
        delivery = owe(subscription)
        wait_for_state(delivery, DeliveryState.DELIVERED)


def test_delivered_at_the_fourth_attempt_with_the_same_body_and_id(sink: PartnerSink, heard: list[Any]) -> None:
    """callback-F19: same `webhook-id`, same bytes, each with a time and signature of its own."""
    sink.answer_with(Answer(status=500), Answer(status=404), Answer(status=502))
    subscription = subscribe(sink.url())
    delivery = owe(subscription)
    with running_worker():
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
        wait_until(lambda: len(heard) >= 4)
    assert done.attempts == 4
    assert [attempt.outcome for attempt in done.attempt_log.all()] == [
        "server_error", "client_error", "server_error", "ok",
    ]  # fmt: skip
    assert len({call.body for call in sink.calls}) == 1
    assert {call.headers["webhook-id"] for call in sink.calls} == {str(delivery.pk)}
    webhook = Webhook(subscription.secrets.get().value)
    for call in sink.calls:
        webhook.verify(call.body, call.headers)
    assert outcomes_told(delivery) == [("failing", "server_error"), ("delivered", None)]
    assert [kind for kind, _ in heard] == ["failed", "failed", "failed", "delivered"]
    assert [told["final"] for kind, told in heard if kind == "failed"] == [False, False, False]


def move_time(delivery: Delivery) -> None:
    """Make the next attempt due now, whatever the schedule and the gate say."""
    Endpoint.objects.filter(subscription=delivery.subscription_id).update(gate_until=None, gate_reason="")
    Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING).update(due_at=timezone.now())


def test_always_failing_delivery_is_tried_twelve_times_and_then_dead(
    sink: PartnerSink, heard: list[Any], settings: Any
) -> None:
    """callback-F20: at the scheduled times, then `exhausted`, told once."""
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off", "ALLOW": ["127.0.0.0/8:*"]}}
    waits = conf.callbacks.RETRY_SCHEDULE
    sink.default = Answer(status=500)
    delivery = owe(subscribe(sink.url()))
    with running_worker() as worker:
        for number, wait in enumerate(waits, 1):
            wait_until(lambda number=number: reload(delivery).attempts == number)  # type: ignore[misc] # its default
            row = wait_for_state(delivery, DeliveryState.WAITING)
            attempt = row.attempt_log.get(number=number)
            ended = attempt.started_at + timedelta(milliseconds=attempt.duration_ms or 0)
            assert 0.8 * wait <= row.due_at - ended <= 1.2 * wait + timedelta(seconds=3)
            move_time(delivery)
            worker.wake()
        done = wait_for_state(delivery, DeliveryState.DEAD)
        wait_until(lambda: len(heard) == 12)
    assert (done.attempts, done.end_reason) == (12, "exhausted")
    assert len(sink.calls) == 12
    assert outcomes_told(delivery) == [("failing", "server_error"), ("dead", "exhausted")]
    assert [told["final"] for _, told in heard].count(True) == 1


def test_fifth_server_error_in_a_row_closes_the_gate(sink: PartnerSink) -> None:
    """callback-F18: for 5 s for the whole endpoint; then one probe goes out, and a success opens it wholly."""
    sink.default = Answer(status=503)
    subscription = subscribe(sink.url(), max_in_flight=1)
    for _ in range(7):
        owe(subscription)
    with running_worker() as worker:
        wait_until(lambda: endpoint_of(subscription).gate_reason == "breaker")
        endpoint = endpoint_of(subscription)
        assert endpoint.last_failure_at is not None
        assert endpoint.gate_until == endpoint.last_failure_at + timedelta(seconds=5)
        assert len(sink.calls) == 5
        assert {row.last_outcome for row in Delivery.objects.filter(attempts__gt=0)} == {"server_error"}
        sink.default = Answer(status=200)
        Endpoint.objects.update(gate_until=timezone.now())
        worker.wake()
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 7)
    assert endpoint_of(subscription).gate_until is None


def test_half_open_endpoint_gets_one_probe(sink: PartnerSink) -> None:
    """callback-F18: while the server fails, one request at a time."""
    sink.default = Answer(manner="hang")
    subscription = subscribe(sink.url(), timeout_s=1)
    Endpoint.objects.filter(subscription=subscription).update(consecutive_failures=5)
    for _ in range(4):
        owe(subscription)
    with running_worker():
        wait_until(lambda: endpoint_of(subscription).consecutive_failures == 6)
        assert len(sink.calls) == 1
        sink.release()


def test_retry_after_pauses_the_whole_endpoint_and_nobody_else(sink: PartnerSink) -> None:
    """callback-S20: a partner that asks for a pause gets it; others go on."""
    sink.answer_at("/busy", Answer(status=429, headers={"retry-after": "30"}))
    busy, healthy = subscribe(sink.url("/busy"), max_in_flight=1), subscribe(sink.url("/healthy"))
    held = [owe(busy) for _ in range(3)]
    with running_worker():
        wait_until(lambda: endpoint_of(busy).gate_reason == "retry_after")
        others = [owe(healthy) for _ in range(3)]
        for delivery in others:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    assert [call.path for call in sink.calls].count("/busy") == 1
    assert DeliveryAttempt.objects.get(outcome="throttled").retry_after_s == 30
    assert sorted(reload(delivery).attempts for delivery in held) == [0, 0, 1]


def test_410_disables_the_endpoint_and_holds_the_others_until_it_is_enabled(sink: PartnerSink) -> None:
    """callback-F20: dead at once, told once, nothing used up meanwhile."""
    sink.answer_with(Answer(status=410))
    subscription = subscribe(sink.url(), max_in_flight=1)
    first, *others = [owe(subscription) for _ in range(4)]
    with running_worker() as worker:
        assert wait_for_state(first, DeliveryState.DEAD).end_reason == "gone"
        wait_until(lambda: endpoint_of(subscription).lease_token is None)
        endpoint = endpoint_of(subscription)
        assert (endpoint.state, endpoint.state_reason) == ("disabled", "The server answered 410 Gone.")
        assert all(reload(delivery).attempts == 0 for delivery in others)
        assert outcomes_told() == [("disabled", "The server answered 410 Gone.")]
        Endpoint.objects.update(state=EndpointState.ACTIVE, gate_until=None)
        worker.wake()
        for delivery in others:
            wait_for_state(delivery, DeliveryState.DELIVERED)


def test_paused_endpoint_or_inactive_partner_is_not_called(sink: PartnerSink) -> None:
    """callback-S20: a pause holds deliveries and uses up nothing."""
    paused, inactive, open_one = (subscribe(sink.url(f"/{number}")) for number in range(3))
    Endpoint.objects.filter(subscription=paused).update(state=EndpointState.PAUSED)
    held = [owe(paused), owe(inactive)]
    inactive.partner.active = False
    inactive.partner.save()
    delivery = owe(open_one)
    with running_worker() as worker:
        wait_for_state(delivery, DeliveryState.DELIVERED)
        assert [(reload(row).state, reload(row).attempts) for row in held] == [("waiting", 0)] * 2
        Endpoint.objects.update(state=EndpointState.ACTIVE)
        type(inactive.partner).objects.update(active=True)
        worker.wake()
        for row in held:
            wait_for_state(row, DeliveryState.DELIVERED)


def test_reversal_waits_for_its_confirmation_to_end(sink: PartnerSink) -> None:
    """N-12: the confirmation first, then the reversal, also when the confirmation had to be repeated."""
    sink.answer_with(Answer(status=500))
    subscription = subscribe(sink.url())
    first = owe(subscription)
    second = owe(subscription)
    Delivery.objects.filter(pk=second.pk).update(after=first)
    with running_worker():
        wait_for_state(second, DeliveryState.DELIVERED)
    ids = [call.headers["webhook-id"] for call in sink.calls]
    assert ids == [str(first.pk), str(first.pk), str(second.pk)]


def test_limit_of_requests_at_the_same_time_is_kept(sink: PartnerSink) -> None:
    """callback-S20: never more than `max_in_flight`, and others are not held up by a slow one."""
    sink.answer_at("/slow", Answer(manner="hang"))
    slow, fast = subscribe(sink.url("/slow"), max_in_flight=2, timeout_s=30), subscribe(sink.url("/fast"))
    for _ in range(6):
        owe(slow)
    with running_worker():
        wait_until(lambda: len(sink.calls) == 2)
        deliveries = [owe(fast) for _ in range(5)]
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
        assert Delivery.objects.filter(subscription=slow, state="sending").count() == 2
        sink.answer_at("/slow", Answer())
        sink.release()
        wait_until(lambda: not Delivery.objects.exclude(state="delivered").exists())
    assert len([call for call in sink.calls if call.path == "/slow"]) == 8


def test_address_that_is_not_allowed_any_more_is_blocked_and_goes_out_later(sink: PartnerSink, settings: Any) -> None:
    """callback-S1, callback-S6: the settings of the moment count, not those of the day it was saved."""
    delivery = owe(subscribe(sink.url()))
    allowed = settings.LIVEREFERRALS
    settings.LIVEREFERRALS = {"CALLBACKS": allowed["CALLBACKS"] | {"ALLOW": []}}
    with running_worker():
        wait_until(lambda: reload(delivery).last_outcome == "blocked")
        assert not sink.calls
        settings.LIVEREFERRALS = allowed
        wait_for_state(delivery, DeliveryState.DELIVERED)


def test_repaired_url_repairs_what_is_queued(sink: PartnerSink) -> None:
    """callback-F19: template and secret are read when an attempt starts; its number says which."""
    sink.answer_at("/wrong", Answer(status=404))
    subscription = subscribe(sink.url("/wrong"))
    delivery = owe(subscription)
    with running_worker():
        wait_until(lambda: reload(delivery).attempts >= 1)
        subscription.callback_url = sink.url("/right")
        subscription.save()
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    versions = [attempt.config_version for attempt in done.attempt_log.all()]
    assert versions[0] == 1
    assert versions[-1] == 2
