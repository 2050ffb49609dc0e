"""Turns: what is settled and started in one transaction, and whose writes count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from livereferrals.callbacks import setting_aside, turns
from livereferrals.callbacks.models import Endpoint, EndpointState, SigningSecret
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Reply
from livereferrals.callbacks.settling import Result
from livereferrals.callbacks.turns import Wish
from livereferrals.events.models import Event
from tests.callbacks.running import reload, subscribe
from tests.callbacks.turning import FAILED, OK, lease, owe, settle, start, take_over
from tests.factories import make_delivery

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1/hook"


@pytest.fixture
def subscription() -> Subscription:
    return subscribe(URL)


def test_result_under_a_lost_lease_is_kept_as_late_and_changes_nothing(subscription: Subscription) -> None:
    """callback-F31: fenced by the lease's token; the lost attempt's row is filled in."""
    delivery = owe(subscription)
    _, job = start(delivery)
    take_over(subscription)
    done = settle(job, FAILED)
    assert done.gone == {subscription.pk}
    row = reload(delivery)
    assert (row.state, row.attempts, row.lost, row.last_outcome) == ("waiting", 1, 1, "lost")
    attempt = row.attempt_log.get()
    assert (attempt.late, attempt.outcome, attempt.status) == (True, "server_error", 500)
    assert Endpoint.objects.get().consecutive_failures == 0


def test_late_success_ends_a_delivery_that_waits_to_be_repeated(subscription: Subscription) -> None:
    """callback-F31: the partner has it; a repeat would be for nothing."""
    delivery = owe(subscription)
    _, job = start(delivery)
    take_over(subscription)
    done = settle(job, OK)
    assert (reload(delivery).state, len(done.notices)) == ("delivered", 1)
    assert reload(delivery).attempt_log.get().late


def test_late_success_does_not_touch_an_attempt_under_way(subscription: Subscription) -> None:
    """callback-F31: the other worker's result counts."""
    delivery = owe(subscription)
    _, job = start(delivery)
    held = take_over(subscription)
    turns.turn(Wish(tokens={held.endpoint: held.token}, starts={held.endpoint: [delivery.pk]}))
    settle(job, OK)
    row = reload(delivery)
    assert (row.state, row.attempts, row.lease_token) == ("sending", 2, held.token)


def test_result_of_an_older_lease_of_the_same_worker_does_not_count(subscription: Subscription) -> None:
    """callback-F34: it has the endpoint again, and has started the delivery anew: only the row's own lease tells."""
    delivery = owe(subscription)
    _, job = start(delivery)
    held = take_over(subscription)
    tokens = {held.endpoint: held.token}
    turns.turn(Wish(tokens=tokens, starts={held.endpoint: [delivery.pk]}))
    result = Result(job=job, reply=FAILED, started_at=timezone.now(), worker="w")
    turns.turn(Wish(tokens=tokens, results=[result]))
    row = reload(delivery)
    assert (row.state, row.attempts, row.lease_token) == ("sending", 2, held.token)
    assert row.attempt_log.get().late


def test_result_that_was_written_already_is_not_written_twice(subscription: Subscription) -> None:
    """callback-F31: the answer to a commit may be lost; the repeat of the turn changes nothing."""
    delivery = owe(subscription)
    _, job = start(delivery)
    settle(job, OK)
    done = settle(job, OK)
    assert done.notices == []
    assert not reload(delivery).attempt_log.get().late


def test_lease_is_renewed_only_where_it_is_kept_and_short(subscription: Subscription) -> None:
    """callback-F30: 60 s anew when less than 40 s are left."""
    owe(subscription)
    (held,) = lease()
    soon = timezone.now() + timedelta(seconds=30)
    Endpoint.objects.update(lease_until=soon)
    turns.turn(Wish(tokens={held.endpoint: held.token}))
    assert Endpoint.objects.get().lease_until == soon
    done = turns.turn(Wish(tokens={held.endpoint: held.token}, keeps=[held.endpoint]))
    renewed = Endpoint.objects.get().lease_until
    assert renewed is not None
    assert renewed > soon + timedelta(seconds=25)
    assert done.stands[held.endpoint].until > held.until - 2


def test_no_more_is_started_than_the_row_allows_now(subscription: Subscription) -> None:
    """callback-S20: the limit is read at the start, and what is under way counts."""
    deliveries = [owe(subscription) for _ in range(4)]
    (held,) = lease()
    type(subscription).objects.update(max_in_flight=2)
    wish = Wish(
        tokens={held.endpoint: held.token},
        starts={held.endpoint: [delivery.pk for delivery in deliveries]},
        in_flight={held.endpoint: 1},
    )
    done = turns.turn(wish)
    assert [job.delivery for job in done.jobs] == [deliveries[0].pk]
    assert done.considered == {deliveries[0].pk}


def test_nothing_is_started_on_an_endpoint_paused_since(subscription: Subscription) -> None:
    """callback-S20: a pause holds from the next turn on."""
    delivery = owe(subscription)
    (held,) = lease()
    Endpoint.objects.update(state=EndpointState.PAUSED)
    done = turns.turn(Wish(tokens={held.endpoint: held.token}, starts={held.endpoint: [delivery.pk]}))
    assert (done.jobs, done.stands[held.endpoint].may_send) == ([], False)


def test_event_without_a_number_is_not_started(subscription: Subscription) -> None:
    """callback-F19: else the body of attempt 1 would differ from that of attempt 2."""
    delivery = owe(subscription)
    Event.objects.filter(pk=str(delivery.event)).update(seq=None, numbered_at=None)
    (held,) = lease()
    done = turns.turn(Wish(tokens={held.endpoint: held.token}, starts={held.endpoint: [delivery.pk]}))
    assert (done.jobs, reload(delivery).state, reload(delivery).attempts) == ([], "waiting", 0)


def test_secrets_sign_newest_first_until_they_expire(subscription: Subscription) -> None:
    """callback-S12: the older one signs along while it has not expired."""
    now = timezone.now()
    newest = subscription.secrets.get()
    older = SigningSecret.objects.create(subscription=subscription, expires_at=now + timedelta(hours=1))
    SigningSecret.objects.create(subscription=subscription, expires_at=now - timedelta(hours=1))
    SigningSecret.objects.filter(pk=older.pk).update(created_at=now - timedelta(days=1))
    _, job = start(owe(subscription))
    assert job.secrets == (newest.value, older.value)
    assert SigningSecret.objects.get(pk=newest.pk).last_used_at is not None


def test_test_delivery_counts_for_nothing_and_is_not_retried(subscription: Subscription) -> None:
    """callback-S20: no event, no counter, one attempt."""
    payload: dict[str, Any] = {"type": "confirmation", "cursor": None, "time": "2026-11-21T09:00:00Z", "data": {}}
    delivery = make_delivery(subscription=subscription, confirmation=None, kind="test", payload=payload)
    events = Event.objects.count()
    _, job = start(delivery)
    assert job.facts.test
    settle(job, FAILED)
    assert (reload(delivery).state, reload(delivery).end_reason) == ("dead", "exhausted")
    assert Endpoint.objects.get().consecutive_failures == 0
    assert Event.objects.count() == events


@pytest.mark.django_db(transaction=True)
def test_bad_row_is_set_aside_and_the_others_are_written(subscription: Subscription) -> None:
    """callback-S10: on an error the batch is written one by one, the bad one without its excerpts."""
    deliveries = [owe(subscription) for _ in range(3)]
    (held,) = lease()
    tokens = {held.endpoint: held.token}
    jobs = turns.turn(Wish(tokens=tokens, starts={held.endpoint: [delivery.pk for delivery in deliveries]})).jobs
    results = [Result(job=job, reply=OK, started_at=timezone.now(), worker="w") for job in jobs]
    # Too large for its column on PostgreSQL; SQLite has no limits, there a missing value is refused.
    bad: Any = Reply(outcome=Outcome.OK, status=200, error="x" * 400)
    if connection.vendor == "sqlite":
        bad = Reply(outcome=Outcome.OK, status=200, error=None)  # type: ignore[arg-type] # a bug, as it may happen
    results[1] = Result(job=jobs[1], reply=bad, started_at=timezone.now(), worker="w")
    with pytest.raises(DatabaseError) as caught:
        turns.turn(Wish(tokens=tokens, results=results))
    assert setting_aside.is_about_data(caught.value)
    done = setting_aside.settle_one_by_one(results, in_flight={})
    assert len(done) == 3
    assert {reload(delivery).state for delivery in deliveries} == {"delivered"}


@pytest.mark.django_db(transaction=True)
def test_endpoint_row_locked_by_an_open_transaction_is_waited_for_by_nobody(subscription: Subscription) -> None:
    """callback-S20: an admin page that is open in a transaction holds up its own endpoint only."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks the whole database, which every transaction here waits for")
    other = subscribe(URL)
    deliveries = [owe(subscription), owe(other)]
    tokens = {held.endpoint: held.token for held in lease()}
    starts = {delivery.subscription_id: [delivery.pk] for delivery in deliveries}

    def take_turn() -> turns.Turn:
        try:
            return turns.turn(Wish(tokens=tokens, starts=starts))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Endpoint.objects.select_for_update().get(pk=subscription.pk)
        done = pool.submit(take_turn).result(60)
    assert (done.busy, done.gone) == ({subscription.pk}, set())
    assert [job.delivery for job in done.jobs] == [deliveries[1].pk]
