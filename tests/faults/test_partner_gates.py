"""Partners' servers that ask for a pause, say that they are gone, or lie about which request they answer."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState, Endpoint, EndpointState
from livereferrals.events.models import Event, EventType
from tests.callbacks.running import owe, pile_up, reload, running_worker, subscribe, wait_for_state
from tests.faults.misdeeds import response
from tests.partner import Answer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from asyncio import StreamWriter

    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)

WAITING: Final = 500 if os.environ.get("LIVEREFERRALS_SOAK") else 50
EMPTY: Final = b"Content-Length: 0"


def test_410_is_told_once_and_holds_the_others_until_it_is_enabled(sink: PartnerSink) -> None:
    """callback-F14: dead, disabled, the others on hold and whole; they go out after enabling."""
    sink.answer_with(Answer(status=410))
    subscription = subscribe(sink.url(), max_in_flight=1)
    first, *_ = pile_up(subscription, 1 + WAITING)
    others = Delivery.objects.filter(subscription=subscription).exclude(pk=first.pk)
    with running_worker() as worker:
        assert wait_for_state(first, DeliveryState.DEAD).end_reason == "gone"
        wait_until(lambda: Endpoint.objects.get().lease_token is None)
        assert Endpoint.objects.get().state == EndpointState.DISABLED
        assert others.filter(state=DeliveryState.WAITING, attempts=0, last_outcome="").count() == WAITING
        assert len(sink.calls) == 1
        told = Event.objects.filter(type=EventType.DELIVERY, data__outcome="disabled")
        assert told.count() == 1
        subscription.max_in_flight = 32
        subscription.save()
        Endpoint.objects.update(state=EndpointState.ACTIVE)
        worker.wake()
        wait_until(lambda: others.filter(state=DeliveryState.DELIVERED).count() == WAITING)
    assert told.count() == 1
    assert len(sink.calls) == 1 + WAITING


def test_pause_of_three_seconds_is_kept_by_every_delivery_while_others_go_on(sink: PartnerSink) -> None:
    """callback-F15: no request to that endpoint for 3 s; 20 healthy endpoints get theirs meanwhile."""
    busy = subscribe(sink.url("/busy"), max_in_flight=1)
    sink.answer_at("/busy", Answer(status=429, headers={"retry-after": "3"}))
    deliveries = [owe(busy) for _ in range(3)]
    healthy = [subscribe(sink.url(f"/healthy/{number}")) for number in range(20)]
    with running_worker():
        wait_until(lambda: Endpoint.objects.get(subscription=busy).gate_reason == "retry_after")
        sink.answer_at("/busy", Answer())
        for subscription in healthy:
            owe(subscription)
        wait_until(lambda: len({call.path for call in sink.calls if call.path != "/busy"}) == len(healthy))
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    first, second, *rest = [call.at for call in sink.calls if call.path == "/busy"]
    assert second - first >= 3
    assert len(rest) == 2


def test_forged_answer_to_the_next_request_is_never_read(sink: PartnerSink) -> None:
    """callback-F21: a 200 that is pushed before it is asked for; each delivery is judged by its own answer."""

    async def push(writer: StreamWriter) -> None:
        writer.write(response(b"HTTP/1.1 500 Oh", EMPTY))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(response(b"HTTP/1.1 200 OK", EMPTY))
        await writer.drain()
        await asyncio.sleep(1)

    subscription = subscribe(sink.url(), max_in_flight=1)
    sink.answer_with(*[Answer(script=push)] * 2, *[Answer(status=404)] * 2)
    deliveries = [owe(subscription) for _ in range(2)]
    with running_worker():
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    outcomes = [attempt.outcome for attempt in DeliveryAttempt.objects.order_by("started_at")]
    assert sorted(outcomes) == sorted(["server_error"] * 2 + ["client_error"] * 2 + ["ok"] * 2)
    assert len(sink.calls) == sink.connections == len(outcomes)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_server_that_closes_after_each_answer_gets_one_request_an_attempt(sink: PartnerSink, method: str) -> None:
    """callback-F21: nothing is repeated by the client on its own, whatever the method."""

    async def answer_and_close(writer: StreamWriter) -> None:
        writer.write(response(b"HTTP/1.1 200 OK", EMPTY, b"Connection: keep-alive"))
        await writer.drain()

    sink.default = Answer(script=answer_and_close)
    subscription = subscribe(sink.url("/?d={delivery_id}"), method=method, max_in_flight=1)
    deliveries = [owe(subscription) for _ in range(4)]
    with running_worker():
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    assert [reload(delivery).attempts for delivery in deliveries] == [1] * 4
    assert len(sink.calls) == 4


def test_cookie_of_one_answer_is_sent_to_nobody(sink: PartnerSink) -> None:
    """callback-F23, callback-S2: neither to the server that set it nor to another path of its host."""
    sink.default = Answer(headers={"set-cookie": "session=1; Path=/; Max-Age=3600"})
    subscriptions = [subscribe(sink.url(f"/{number}"), max_in_flight=1) for number in range(2)]
    deliveries = [owe(subscription) for subscription in subscriptions for _ in range(2)]
    with running_worker():
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    assert len(sink.calls) == 4
    assert not [call for call in sink.calls if "cookie" in call.headers]
