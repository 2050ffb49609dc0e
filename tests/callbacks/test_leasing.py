"""Leases: who serves an endpoint, and what is read there."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from livereferrals.callbacks import clock, leasing, processes, reading, wanting
from livereferrals.callbacks.models import NEVER, Delivery, Endpoint, EndpointState
from tests.callbacks.running import reload, subscribe
from tests.callbacks.turning import lease, owe, start, take_over

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1/hook"


@pytest.fixture
def subscription() -> Subscription:
    return subscribe(URL)


def test_leased_endpoint_is_nobody_elses(subscription: Subscription) -> None:
    """callback-F30: one worker at a time serves an endpoint."""
    owe(subscription)
    assert [held.endpoint for held in lease()] == [subscription.pk]
    assert lease() == []


@pytest.mark.django_db(transaction=True)
def test_endpoint_that_somebody_has_locked_is_left_to_the_next_look(subscription: Subscription) -> None:
    """callback-F30: two workers that look at once do not take the same one, and neither waits for the other."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole database, which every transaction here waits for")
    other = subscribe(URL)
    for one in (subscription, other):
        owe(one)

    def look() -> list[leasing.Lease]:
        try:
            return lease()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Endpoint.objects.select_for_update().get(pk=subscription.pk)
        assert [held.endpoint for held in pool.submit(look).result(60)] == [other.pk]
    assert [held.endpoint for held in lease()] == [subscription.pk]


def test_longest_unserved_endpoint_comes_first(subscription: Subscription) -> None:
    """callback-S20: a busy endpoint does not push others back."""
    other = subscribe(URL)
    for one in (subscription, other):
        owe(one)
    Endpoint.objects.filter(pk=subscription.pk).update(last_leased_at=timezone.now())
    Endpoint.objects.filter(pk=other.pk).update(last_leased_at=NEVER)
    assert [held.endpoint for held in leasing.lease(worker="w", limit=1).leases] == [other.pk]


@pytest.mark.parametrize(
    "held_by",
    [
        {"state": EndpointState.PAUSED},
        {"state": EndpointState.DISABLED},
        {"gate_until": timezone.now() + timedelta(hours=1)},
    ],
)
def test_held_or_gated_endpoint_is_not_leased(subscription: Subscription, held_by: dict[str, Any]) -> None:
    """callback-F18: what may not be called is not even looked at."""
    owe(subscription)
    Endpoint.objects.update(**held_by)
    assert lease() == []


def test_delivery_of_the_future_is_not_due(subscription: Subscription) -> None:
    """callback-F20: nothing is sent before its time."""
    delivery = owe(subscription)
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now() + timedelta(minutes=1))
    assert lease() == []
    assert not wanting.is_anything_waiting()


def test_no_room_takes_no_lease(subscription: Subscription) -> None:
    """callback-S20: a worker leases no more than it has slots."""
    owe(subscription)
    assert leasing.lease(worker="w", limit=0).leases == []
    assert wanting.is_anything_waiting()


@pytest.mark.parametrize("ends_in_s", [-1, 3600], ids=["over", "nonsense"])
def test_lease_that_is_over_or_nonsense_is_taken(subscription: Subscription, ends_in_s: int) -> None:
    """callback-F30: run out, or set by a clock that has jumped back since."""
    owe(subscription)
    lease()
    Endpoint.objects.update(lease_until=timezone.now() + timedelta(seconds=ends_in_s))
    assert len(lease()) == 1


def test_lease_that_was_set_while_a_look_waited_for_its_transaction_is_no_nonsense(
    subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """callback-F44: by the time at which that look began it ends too late."""
    owe(subscription)
    lease()
    other = subscribe(URL)
    owe(other)
    now = clock.now
    # PostgreSQL is asked for the time in the transaction only; on SQLite there is a look before it.
    behind = iter([timedelta(seconds=5)] if connection.vendor == "sqlite" else [])
    monkeypatch.setattr(clock, "now", lambda alias: now(alias) - next(behind, timedelta()))
    assert [held.endpoint for held in lease()] == [other.pk]


def test_lease_of_a_gone_process_of_this_machine_is_over_at_once(subscription: Subscription) -> None:
    """callback-F30: a restart on one machine waits for nothing; a living process keeps its lease."""
    owe(subscription)
    lease(processes.this_process())
    assert lease() == []
    Endpoint.objects.update(leased_by=f"{processes.machine()}:999999999:1")
    assert len(lease()) == 1


def test_endpoint_left_with_started_rows_only_is_taken_to_clean_up(subscription: Subscription) -> None:
    """callback-F30: also when it is paused meanwhile: nothing stays `sending`."""
    delivery = owe(subscription)
    start(delivery)
    Endpoint.objects.update(state=EndpointState.PAUSED)
    held = take_over(subscription)
    assert not held.is_open
    assert (reload(delivery).state, reload(delivery).lost) == ("waiting", 1)
    leasing.release({held.endpoint: held.token})
    assert lease() == []


def test_reading_gives_what_is_due_in_order_and_writes_nothing(subscription: Subscription) -> None:
    """callback-S20: at most 256 of each endpoint, by due time."""
    other = subscribe(URL)
    first, second = owe(subscription), owe(subscription)
    later, third = owe(subscription), owe(other)
    Delivery.objects.filter(pk=first.pk).update(due_at=timezone.now() - timedelta(minutes=1))
    Delivery.objects.filter(pk=second.pk).update(due_at=timezone.now() - timedelta(minutes=2))
    Delivery.objects.filter(pk=later.pk).update(due_at=timezone.now() + timedelta(minutes=1))
    found = reading.read([subscription.pk, other.pk]).due
    assert {key: [ready.id for ready in every] for key, every in found.items()} == {
        subscription.pk: [second.pk, first.pk],
        other.pk: [third.pk],
    }
    assert reading.read([]) == reading.Found(due={}, tests={})


def test_unsent_delivery_goes_back_without_a_trace(subscription: Subscription) -> None:
    """callback-F30: released before any byte was sent, it has used up nothing; another's lease is not touched."""
    delivery = owe(subscription)
    _, job = start(delivery)
    leasing.release_unsent({delivery.pk: uuid.uuid4()})
    assert reload(delivery).state == "sending"
    leasing.release_unsent({delivery.pk: job.token})
    row = reload(delivery)
    assert (row.state, row.attempts, row.lease_token, row.attempt_log.count()) == ("waiting", 0, None, 0)
