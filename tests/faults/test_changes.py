"""What people change while deliveries are under way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from livereferrals import api
from livereferrals.callbacks import acting
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint, EndpointState, SigningSecret
from tests.callbacks.running import LOOPBACK, owe, pile_up, reload, running_worker, subscribe, wait_for_state
from tests.factories import make_hit, make_link
from tests.faults.killing import check_books
from tests.partner import Answer
from tests.shop.triggers import TRIGGERS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)


def test_url_edited_during_an_attempt_counts_from_the_next(sink: PartnerSink) -> None:
    """callback-F50: that attempt ends as it began; `config_version` shows which was which."""
    sink.answer_at("/old", Answer(status=500, delay_s=1.0))
    subscription = subscribe(sink.url("/old"))
    delivery = owe(subscription)
    with running_worker():
        sink.wait_for(1)
        subscription.callback_url = sink.url("/new")
        subscription.save()
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    assert [call.path for call in sink.calls] == ["/old", "/new"]
    first, second = done.attempt_log.all()
    assert (first.outcome, second.outcome) == ("server_error", "ok")
    assert second.config_version == first.config_version + 1


def test_archiving_cancels_what_waits_and_lets_end_what_is_under_way(sink: PartnerSink) -> None:
    """callback-F51: the four in flight finish and are logged, the history stays readable."""
    sink.default = Answer(delay_s=1.0)
    subscription = subscribe(sink.url(), max_in_flight=4)
    pile_up(subscription, 150)
    with running_worker() as worker:
        sink.wait_for(4)
        subscription.archived_at = timezone.now()
        subscription.save(update_fields=["archived_at"])
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 4)
        wait_until(lambda: Endpoint.objects.get().lease_token is None)
        worker.wake()
        wait_until(lambda: Delivery.objects.filter(state="cancelled").count() == 146)
    assert set(Delivery.objects.filter(state="cancelled").values_list("end_reason", flat=True)) == {"archived"}
    assert len(sink.calls) == 4
    assert sum(row.attempt_log.count() for row in Delivery.objects.filter(state="delivered")) == 4


@pytest.mark.parametrize("hold", ["paused", "inactive"])
def test_hold_stops_starts_at_once_and_uses_up_nothing(sink: PartnerSink, hold: str) -> None:
    """callback-F52: nothing new starts, no row is rewritten, and all of it goes out afterwards."""
    sink.default = Answer(delay_s=0.2)
    subscription = subscribe(sink.url(), max_in_flight=2)
    for _ in range(15):
        owe(subscription)
    partners = type(subscription.partner).objects.filter(pk=subscription.partner_id)
    with running_worker() as worker:
        sink.wait_for(2)
        if hold == "paused":
            Endpoint.objects.update(state=EndpointState.PAUSED)
        else:
            partners.update(active=False)
        wait_until(lambda: not Delivery.objects.filter(state="sending").exists())
        wait_until(lambda: Endpoint.objects.get().lease_token is None)
        made = len(sink.calls)
        rows = Delivery.objects.filter(state="waiting")
        held = list(rows.order_by("pk").values())
        assert {row["attempts"] for row in held} == {0}
        worker.wake()
        wait_until(lambda: Endpoint.objects.get().lease_token is None)
        assert (len(sink.calls), list(rows.order_by("pk").values())) == (made, held)
        Endpoint.objects.update(state=EndpointState.ACTIVE)
        partners.update(active=True)
        worker.wake()
        wait_until(lambda: not Delivery.objects.exclude(state="delivered").exists())
    check_books(sink)


def confirm(subscription: Subscription, settings: Any) -> tuple[Any, Delivery]:
    """Confirm an order for the subscription's partner; return the confirmation and its delivery."""
    settings.LIVEREFERRALS = {
        "TRIGGERS": TRIGGERS,
        "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK, "RETRY_SCHEDULE": [0.3] * 11},
    }
    hit = make_hit(link=make_link(partner=subscription.partner))
    confirmation = api.confirm("Order paid", hit=hit, reference="A-1").confirmation
    return confirmation, Delivery.objects.get()


def test_reversal_before_the_first_attempt_sends_neither(sink: PartnerSink, settings: Any) -> None:
    """callback-F53: the confirmation's delivery is cancelled, the reversal's never made."""
    confirmation, delivery = confirm(subscribe(sink.url()), settings)
    api.reverse(confirmation, reason="refund")
    last = owe(subscribe(sink.url("/last")))
    with running_worker():
        wait_for_state(last, DeliveryState.DELIVERED)
    assert (reload(delivery).state, reload(delivery).end_reason) == ("cancelled", "reversed")
    assert [call.path for call in sink.calls] == ["/last"]


@pytest.mark.parametrize("status", [200, 500], ids=["during-it", "after-a-failed-one"])
def test_reversal_after_an_attempt_began_comes_second(sink: PartnerSink, settings: Any, status: int) -> None:
    """callback-F53: the confirmation first, then the reversal, in this order."""
    sink.answer_with(Answer(status=status, delay_s=1.0))
    confirmation, _ = confirm(subscribe(sink.url()), settings)
    with running_worker():
        sink.wait_for(1)
        api.reverse(confirmation, reason="refund")
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 2)
    kinds = [call.json()["type"] for call in sink.calls]
    assert kinds == ["confirmation"] * (1 if status == 200 else 2) + ["reversal"]


def verifies(secret: SigningSecret, call: Any) -> bool:
    try:
        Webhook(secret.value).verify(call.body, call.headers)
    except WebhookVerificationError:
        return False
    return True


def test_secret_rotated_between_attempts_signs_along_until_its_overlap_ends(sink: PartnerSink) -> None:
    """callback-F55: the second attempt has both signatures, one after the overlap only the new one."""
    sink.answer_with(Answer(status=500))
    subscription = subscribe(sink.url())
    old = subscription.secrets.get()
    delivery = owe(subscription)
    Endpoint.objects.filter(pk=subscription.pk).update(state=EndpointState.ACTIVE)
    with running_worker():
        sink.wait_for(1)
        SigningSecret.objects.filter(pk=old.pk).update(expires_at=timezone.now() + timedelta(hours=24))
        new = SigningSecret.objects.create(subscription=subscription)
        wait_for_state(delivery, DeliveryState.DELIVERED)
        SigningSecret.objects.filter(pk=old.pk).update(expires_at=timezone.now())
        wait_for_state(owe(subscription), DeliveryState.DELIVERED)
    found = [(verifies(old, call), verifies(new, call)) for call in sink.calls]
    assert found == [(True, False), (True, True), (False, True)]


def test_resend_is_one_more_request_with_the_same_id_and_a_fresh_schedule(sink: PartnerSink, admin_user: Any) -> None:
    """callback-F56: two staff pressing at once make one; the history stays."""
    subscription = subscribe(sink.url())
    delivery = owe(subscription)
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
        seen = acting.Seen(delivery=delivery.pk, attempts=1)
        acting.resend([seen], by=admin_user)
        acting.resend([seen], by=admin_user)
        wait_until(lambda: reload(delivery).attempts == 2)
        done = wait_for_state(delivery, DeliveryState.DELIVERED)
    assert [call.headers["webhook-id"] for call in sink.calls] == [str(delivery.pk)] * 2
    assert (done.schedule_from, done.attempt_log.count()) == (1, 2)


def test_test_goes_out_first_and_past_a_hold_and_counts_for_nothing(sink: PartnerSink) -> None:
    """callback-F52: while an endpoint is paused or disabled only tests are sent."""
    from tests.factories import make_delivery

    subscription = subscribe(sink.url())
    held = [owe(subscription) for _ in range(3)]
    payload: dict[str, Any] = {"type": "confirmation", "cursor": None, "time": "2026-11-21T09:00:00Z", "data": {}}
    for state in (EndpointState.PAUSED, EndpointState.DISABLED):
        Endpoint.objects.update(state=state)
        test = make_delivery(subscription=subscription, confirmation=None, kind="test", payload=payload)
        with running_worker():
            wait_for_state(test, DeliveryState.DELIVERED)
            wait_until(lambda: Endpoint.objects.get().lease_token is None)
        assert sink.calls[-1].headers["webhook-id"] == str(test.pk)
    assert len(sink.calls) == 2
    assert [(reload(row).state, reload(row).attempts) for row in held] == [("waiting", 0)] * 3
    Endpoint.objects.update(state=EndpointState.ACTIVE)
    test = make_delivery(subscription=subscription, confirmation=None, kind="test", payload=payload)
    with running_worker():
        wait_until(lambda: not Delivery.objects.exclude(state="delivered").exists())
    assert str(test.pk) in {call.headers["webhook-id"] for call in sink.calls[2:6]}
