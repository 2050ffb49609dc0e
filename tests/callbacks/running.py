"""Running workers in tests: in a thread of this process, with real rows and real requests."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from livereferrals import ids
from livereferrals.callbacks import faults, outbox
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint, Subscription
from livereferrals.callbacks.worker import Orders, Worker
from livereferrals.events import log
from livereferrals.events.models import Event, EventType
from tests.factories import make_confirmation, make_hit, make_link, make_subscription
from tests.waiting import DEADLINE_S, wait_until

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator

    from aiohttp.abc import AbstractResolver

    from livereferrals.tracking.models import Confirmation

LOOPBACK = ["127.0.0.0/8:*"]


@contextlib.contextmanager
def running_worker(
    orders: Orders | None = None,
    *,
    resolver: AbstractResolver | None = None,
    at_point: Callable[[faults.Point, uuid.UUID | None], None] | None = None,
) -> Iterator[Worker]:
    """Run a worker in a thread; it ends gracefully."""
    with contextlib.ExitStack() as stack:
        worker = Worker(orders, resolver=resolver)
        if at_point is not None:
            stack.enter_context(faults.injected(at_point))
        failures: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(worker.run())
            except BaseException as error:  # noqa: BLE001 - it is raised in the test
                failures.append(error)

        thread = threading.Thread(target=run, name="test-worker")
        thread.start()
        stack.callback(thread.join, DEADLINE_S)
        stack.callback(worker.stop)
        yield worker
    assert not failures, failures


def subscribe(url: str, **overrides: Any) -> Subscription:
    """Make a subscription that calls a plain HTTP server on loopback."""
    return make_subscription(**{"callback_url": url, "allow_plain_http": True} | overrides)


def make_owed_confirmation(subscription: Subscription, **overrides: Any) -> tuple[Confirmation, Event]:
    """Write a confirmation and its event for the subscription, as `confirm` does, without what is owed for it."""
    hit = make_hit(link=make_link(partner=subscription.partner))
    confirmation = make_confirmation(hit=hit, trigger=subscription.trigger, **overrides)
    data = {
        "confirmation": str(confirmation.pk),
        "trigger": confirmation.trigger,
        "hit": str(hit.pk),
        "visitor": str(hit.visitor_id),
        "user": None,
        "click_id": hit.click_id,
        "subs": hit.subs,
        "reference": confirmation.reference,
        "amount": None,
        "currency": None,
    }
    event = log.append(
        log.Entry(
            type=EventType.CONFIRMATION,
            occurred_at=timezone.now(),
            data=data,
            partner=subscription.partner.uid,
            link=hit.link_id,
            link_identifier=hit.link.identifier,
            visitor=hit.visitor_id,
        )
    )
    return confirmation, event


def owe(subscription: Subscription, **overrides: Any) -> Delivery:
    """Owe one delivery to the subscription, in one transaction."""
    with transaction.atomic():
        confirmation, event = make_owed_confirmation(subscription, **overrides)
        delivery = outbox.owe(confirmation, event, subscription=subscription.pk)
    assert delivery is not None
    return reload(delivery)


def pile_up(subscription: Subscription, rows: int) -> list[Delivery]:
    """Owe so many to the subscription, in two statements: one confirmation, and reversals of parts of it."""
    first = owe(subscription)
    payload = {**(first.payload or {}), "cursor": "a.1"}
    now = timezone.now()
    more = Delivery.objects.bulk_create(
        Delivery(
            subscription=subscription,
            confirmation_id=first.confirmation_id,
            kind="reversal",
            event=ids.new_uuid(),
            payload=payload,
            due_at=now,
            created_at=now,
        )
        for _ in range(rows - 1)
    )
    return [first, *more]


def reload(delivery: Delivery) -> Delivery:
    """Return the row as it is now."""
    return Delivery.objects.get(pk=delivery.pk)


def endpoint_of(subscription: Subscription) -> Endpoint:
    """Return the row of the subscription's endpoint as it is now."""
    return Endpoint.objects.get(subscription=subscription)


def wait_for_state(delivery: Delivery, state: DeliveryState, *, timeout_s: float = DEADLINE_S) -> Delivery:
    """Return the row once it is in this state."""

    def is_there() -> Delivery | None:
        row = reload(delivery)
        return row if row.state == state else None

    return wait_until(is_there, timeout_s=timeout_s, what=f"{state} of {delivery.pk}")  # type: ignore[return-value] # true
