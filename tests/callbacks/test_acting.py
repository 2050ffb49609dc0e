"""What staff do with deliveries: each act once, only where it makes sense, and written down."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.utils import timezone

from livereferrals import ids
from livereferrals.callbacks import acting
from livereferrals.callbacks.acting import Obstacle, Seen
from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.events.models import Event
from tests.callbacks.running import owe, reload, running_worker, subscribe, wait_for_state
from tests.factories import make_delivery, make_staff, make_subscription
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.servers import PartnerSink

pytestmark = pytest.mark.django_db
PAYLOAD = {"type": "confirmation", "cursor": "e.1", "time": "2026-05-01T12:30:00.000Z", "data": {}}


def seen(*rows: Delivery) -> list[Seen]:
    return [Seen(delivery=row.pk, attempts=row.attempts) for row in rows]


def ended(**values: Any) -> Delivery:
    defaults = {"state": "dead", "end_reason": "exhausted", "finished_at": timezone.now(), "attempts": 12}
    return make_delivery(**defaults | {"payload": PAYLOAD} | values)


def test_retry_now_makes_it_due_and_keeps_its_place_in_the_schedule() -> None:
    """callback-F56"""
    row = make_delivery(due_at=timezone.now() + timedelta(hours=5), attempts=6, schedule_from=2)
    staff = make_staff()
    assert [one.pk for one in acting.retry_now(seen(row), by=staff).deliveries] == [row.pk]
    after = reload(row)
    assert after.due_at <= timezone.now()
    assert (after.state, after.attempts, after.schedule_from) == ("waiting", 6, 2)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.change_message) == (staff, str(row.pk), "Retried now.")


def test_resend_starts_the_schedule_anew_and_keeps_the_history() -> None:
    """callback-F56: the same id, transition 14."""
    row = ended(lost=3, end_reason="poison")
    acting.resend(seen(row), by=make_staff())
    after = reload(row)
    assert (after.state, after.end_reason, after.finished_at) == ("waiting", "", None)
    assert (after.attempts, after.schedule_from, after.lost) == (12, 12, 0)
    assert LogEntry.objects.get().change_message == "Resent."


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"state": "waiting", "finished_at": None, "end_reason": ""}, Obstacle.STATE),
        ({"kind": "test"}, Obstacle.TEST),
        ({"state": "cancelled", "end_reason": "reversed", "attempts": 0}, Obstacle.REVERSED),
        ({"payload": None}, Obstacle.ERASED),
    ],
    ids=["waiting", "test", "reversed", "erased"],
)
def test_what_must_not_be_resent_is_not(values: dict[str, Any], why: Obstacle) -> None:
    """callback-F56, callback-S19"""
    row = ended(**values)
    done = acting.resend(seen(row), by=None)
    assert done.refused == {row.pk: why}
    assert done.refused[row.pk].in_words()
    assert reload(row).state == row.state


def test_subscriptions_that_are_called_no_more_get_nothing_resent() -> None:
    """callback-F51: an archived one, and one without an address."""
    archived = ended(subscription=make_subscription(archived_at=timezone.now()))
    silent = ended(subscription=make_subscription(callback_url=""))
    done = acting.resend(seen(archived, silent), by=None)
    assert done.refused == {archived.pk: Obstacle.ARCHIVED, silent.pk: Obstacle.NO_ADDRESS}


def test_act_on_what_has_changed_since_it_was_seen_is_refused() -> None:
    """callback-F56: also where the first of two resends has been delivered meanwhile."""
    row = ended()
    before = seen(row)
    Delivery.objects.filter(pk=row.pk).update(attempts=13, state="delivered", end_reason="")
    assert acting.resend(before, by=None).refused == {row.pk: Obstacle.OVERTAKEN}
    gone = ids.new_uuid()
    assert acting.resend([Seen(delivery=gone)], by=None).refused == {gone: Obstacle.GONE}
    assert not LogEntry.objects.exists()


def test_cancel_takes_the_reversals_behind_an_unsent_confirmation_along() -> None:
    """callback-F53: a partner must not hear of a part of what it never heard of."""
    confirmation = make_delivery()
    rest = {"subscription": confirmation.subscription, "confirmation": confirmation.confirmation}
    behind = make_delivery(kind="reversal", after=confirmation, **rest)
    begun = make_delivery(attempts=1)
    after_begun = make_delivery(
        kind="reversal", after=begun, subscription=begun.subscription, confirmation=begun.confirmation
    )
    done = acting.cancel(seen(confirmation, begun), by=make_staff())
    assert (len(done.deliveries), done.followers) == (2, 1)
    assert {reload(row).state for row in (confirmation, behind, begun)} == {DeliveryState.CANCELLED}
    assert reload(behind).end_reason == "staff"
    assert reload(after_begun).state == DeliveryState.WAITING
    assert [event.data["outcome"] for event in Event.objects.filter(type="delivery")] == ["cancelled"] * 3
    assert LogEntry.objects.count() == 3


def test_what_is_under_way_is_not_cancelled() -> None:
    """callback-F53: bytes that have left cannot be called back."""
    row = make_delivery(state="sending", lease_token=ids.new_uuid(), attempts=1)
    assert acting.cancel(seen(row), by=None).refused == {row.pk: Obstacle.STATE}


def test_acts_on_many_have_a_limit() -> None:
    """callback-S16"""
    many = [Seen(delivery=ids.new_uuid()) for _ in range(acting.MOST_AT_ONCE + 1)]
    for act in (acting.retry_now, acting.resend, acting.cancel):
        with pytest.raises(acting.TooManyError):
            act(many, by=None)


@pytest.mark.parametrize(
    ("text", "is_read"), [("x", False), ("", False), (":1", False)], ids=["word", "empty", "no-id"]
)
def test_fields_of_forms_are_read_or_refused(text: str, is_read: bool) -> None:
    """callback-S16: what somebody types by hand is no error of ours."""
    assert (Seen.parse(text) is not None) is is_read
    row = Seen(delivery=ids.new_uuid(), attempts=3)
    assert Seen.parse(str(row)) == row


@pytest.mark.django_db(transaction=True)
def test_two_who_resend_at_once_make_one_request_with_the_same_id(sink: PartnerSink) -> None:
    """callback-F56: one more request, whoever was first."""
    delivery = owe(subscribe(sink.url()))
    with running_worker():
        before = wait_for_state(delivery, DeliveryState.DELIVERED)
    results: list[acting.Done] = []

    def press() -> None:
        results.append(acting.resend(seen(before), by=None))
        connections.close_all()

    pressing = [threading.Thread(target=press) for _ in range(2)]
    for thread in pressing:
        thread.start()
    for thread in pressing:
        thread.join(60)
    assert sorted(len(done.deliveries) for done in results) == [0, 1]
    with running_worker():
        after = wait_until(lambda: reload(delivery) if reload(delivery).attempts == 2 else None)
        wait_for_state(delivery, DeliveryState.DELIVERED)
    assert after is not None
    assert len(sink.calls) == 2
    assert {call.headers["webhook-id"] for call in sink.calls} == {str(delivery.pk)}
