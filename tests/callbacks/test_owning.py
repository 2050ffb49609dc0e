from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.utils import timezone

from livereferrals.callbacks import settling, turns
from livereferrals.callbacks.models import Endpoint, Subscription
from livereferrals.callbacks.owning import Known
from livereferrals.callbacks.settling import Result
from livereferrals.callbacks.turns import Wish
from livereferrals.tracking.models import Partner
from tests.callbacks.running import subscribe
from tests.callbacks.turning import OK, lease, owe, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

    from livereferrals.callbacks.leasing import Lease

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    return subscribe("http://127.0.0.1:9/a")


@pytest.fixture
def held(subscription: Subscription) -> Lease:
    owe(subscription)
    (found,) = lease()
    return found


def columns(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda: Subscription.objects.update(callback_url="http://127.0.0.1:9/b"), id="subscription"),
        pytest.param(lambda: Partner.objects.update(active=False), id="partner"),
        pytest.param(lambda: Endpoint.objects.update(consecutive_failures=3), id="endpoint"),
    ],
)
def test_change_is_seen_in_the_next_turn(held: Lease, change: Callable[[], int]) -> None:
    """callbacks 4: what an attempt needs is read when it starts."""
    known, tokens = Known(), {held.endpoint: held.token}
    known.lock(tokens)
    change()
    owned, _ = known.lock(tokens)
    row, fresh = owned[held.endpoint], Endpoint.objects.get(pk=held.endpoint)
    assert columns(row) == columns(fresh)
    assert columns(row.subscription) == columns(fresh.subscription)
    assert columns(row.subscription.partner) == columns(fresh.subscription.partner)


def test_what_is_known_is_not_read_again(held: Lease, django_assert_num_queries: Any) -> None:
    """callbacks 4: a turn comes every few milliseconds."""
    known, tokens = Known(), {held.endpoint: held.token}
    with django_assert_num_queries(2):
        first, _ = known.lock(tokens)
    with django_assert_num_queries(1):
        assert known.lock(tokens)[0] == first


def test_endpoint_of_another_lease_is_not_ours(held: Lease) -> None:
    """callback-F31: every write is fenced by the lease's token, known rows or not."""
    known = Known()
    assert known.lock({held.endpoint: held.token})[0]
    assert known.lock({held.endpoint: uuid.uuid4()})[0] == {}


def test_turn_that_failed_leaves_nothing_in_memory(subscription: Subscription, monkeypatch: Any) -> None:
    """callbacks 4: what a turn has changed in memory is not the database's if it was rolled back."""
    known, delivery = Known(), owe(subscription)
    held, job = start(delivery)
    Endpoint.objects.update(consecutive_failures=1)
    result = Result(job=job, reply=OK, started_at=timezone.now(), worker="w")
    wish = Wish(tokens={held.endpoint: held.token}, results=[result])

    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(settling, "_store", fail)
        with pytest.raises(RuntimeError), transaction.atomic():
            turns.turn(wish, known=known)
    owned, _ = known.lock({held.endpoint: held.token})
    assert owned[held.endpoint].consecutive_failures == 1


def test_success_after_success_writes_no_row_of_the_endpoint(subscription: Subscription) -> None:
    """callbacks 2: `last_success_at` is kept by the second."""
    ends = []
    for _ in range(2):
        _, job = start(owe(subscription))
        result = Result(job=job, reply=OK, started_at=timezone.now(), worker="w")
        turns.turn(Wish(tokens={job.endpoint: job.token}, results=[result]))
        ends.append(Endpoint.objects.get().last_success_at)
        Endpoint.objects.update(lease_token=None, lease_until=None, leased_by="")
    assert ends[0] is not None
    assert ends[0] == ends[1]
