"""Successes are settled in bulk; what is written is what settling them one by one would write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.forms.models import model_to_dict

from livereferrals import signals
from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Reply
from livereferrals.callbacks.settling import Result
from livereferrals.callbacks.turns import Wish, turn
from livereferrals.events.models import Event, EventType
from tests.callbacks.running import endpoint_of, reload
from tests.callbacks.turning import owe, settle, start
from tests.factories import make_subscription

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.callbacks.calls import Job

pytestmark = pytest.mark.django_db

REPLY = Reply(
    outcome=Outcome.OK,
    duration_ms=12,
    status=202,
    error="the body is incomplete (ClientPayloadError)",
    address="127.0.0.1:443",
    headers=[["X-Sign", "\xe4 \\x00 \U0001f600 \"'"]],
    excerpt="line\none\ttwo {} %s",
)


@pytest.fixture
def receiver() -> Iterator[list[Any]]:
    """Have the host listen: then there is a row of Django's for each delivery."""
    told: list[Any] = []

    def hear(**given: Any) -> None:
        told.append(given)

    signals.callback_delivered.connect(hear)
    yield told
    signals.callback_delivered.disconnect(hear)


def result_of(job: Job, reply: Reply = REPLY) -> Result:
    return Result(
        job=job,
        reply=reply,
        started_at=datetime(2026, 3, 29, 1, 30, 0, 250, tzinfo=UTC),
        worker="host:1:2",
        url="https://partner.example/hook?a=%C3%A4&token=***",
        headers={"webhook-id": str(job.delivery), "X-Name": 'va"lue'},
        body='{"v":1,"reference":"\u00fc"}',
    )


def written(delivery: Delivery) -> dict[str, Any]:
    """Return what a settled delivery leaves in all tables, without what differs between any two."""
    row = model_to_dict(reload(delivery), exclude=["id", "subscription", "confirmation", "payload", "event"])
    attempt = model_to_dict(DeliveryAttempt.objects.get(delivery=delivery), exclude=["id", "delivery"])
    attempt["request_headers"].pop("webhook-id")
    event = Event.objects.filter(type=EventType.DELIVERY, data__delivery=str(delivery.pk)).get()
    told = model_to_dict(event, exclude=["id", "seq", "numbered_at", "link", "partner", "link_identifier", "visitor"])
    told["data"] = {name: value for name, value in told["data"].items() if name not in ("delivery", "confirmation")}
    assert delivery.confirmation is not None
    assert event.partner == delivery.subscription.partner.uid
    assert event.link == delivery.confirmation.hit.link_id
    assert event.visitor == delivery.confirmation.hit.visitor_id
    for part in (row, attempt, told):
        for name in [name for name, value in part.items() if isinstance(value, datetime) and name != "started_at"]:
            part[name] = "a moment"
    return {"delivery": row, "attempt": attempt, "event": told}


def delivered() -> Delivery:
    delivery = owe(make_subscription())
    held, job = start(delivery)
    turn(Wish(tokens={held.endpoint: held.token}, results=[result_of(job)]))
    return delivery


def test_a_success_in_bulk_writes_what_one_by_one_would(request: pytest.FixtureRequest) -> None:
    """Delivery, attempt and event are equal, whether the host listens or not."""
    in_bulk = written(delivered())
    told = request.getfixturevalue("receiver")
    assert written(delivered()) == in_bulk
    assert not told  # it is the worker that sends signals, after the commit
    assert in_bulk["delivery"]["state"] == "delivered"
    assert in_bulk["attempt"]["response_headers"] == REPLY.headers


def test_a_success_of_an_erased_delivery_keeps_no_texts() -> None:
    """callback-F54: erased while the request was under way: the attempt is kept, what was said is not."""
    delivery = owe(make_subscription())
    held, job = start(delivery)
    Delivery.objects.filter(pk=delivery.pk).update(payload=None)
    turn(Wish(tokens={held.endpoint: held.token}, results=[result_of(job)]))
    attempt = DeliveryAttempt.objects.get(delivery=delivery)
    assert (attempt.request_url, attempt.request_excerpt, attempt.response_excerpt) == ("", "", "")
    assert attempt.request_headers == {}
    assert attempt.response_headers == []
    assert Event.objects.get(type=EventType.DELIVERY).visitor is None


def test_successes_and_failures_of_one_turn_count_in_their_order() -> None:
    """Success, failure, success and failure, failure: the last of them say how the server is."""
    subscription = make_subscription()
    deliveries = [owe(subscription) for _ in range(3)]
    held, job = start(deliveries[0])
    wish = Wish(tokens={held.endpoint: held.token}, starts={held.endpoint: [row.pk for row in deliveries[1:]]})
    jobs = [job, *turn(wish).jobs]
    replies = [REPLY, Reply(outcome=Outcome.SERVER_ERROR, status=500), REPLY]
    results = [result_of(job, reply) for job, reply in zip(jobs, replies, strict=True)]
    turn(Wish(tokens={held.endpoint: held.token}, results=results))
    endpoint = endpoint_of(subscription)
    assert endpoint.consecutive_failures == 0
    assert endpoint.last_failure_at is not None
    assert [reload(row).state for row in deliveries] == ["delivered", "waiting", "delivered"]


def test_a_receiver_gets_rows(receiver: list[Any]) -> None:
    """What the host is told of has a delivery and an attempt, with its subscription and partner."""
    delivery = owe(make_subscription())
    _, job = start(delivery)
    (notice,) = settle(job, REPLY).notices
    assert notice.delivery == delivery
    assert notice.attempt.status == REPLY.status
    assert not receiver
