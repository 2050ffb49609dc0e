"""Taking a confirmation back: as a whole or in part, once, with the partner told in the right order."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState
from livereferrals.events.models import Event, EventType
from livereferrals.signals import referral_reversed
from livereferrals.tracking.models import Confirmation, ReferralHit, Reversal
from livereferrals.tracking.reasons import Reason, ReversalOutcome
from livereferrals.triggers import Trigger
from tests.callbacks.running import LOOPBACK, running_worker, subscribe, wait_for_state
from tests.events.load import in_threads
from tests.factories import (
    make_confirmation,
    make_hit,
    make_link,
    make_partner,
    make_staff,
    make_subscription,
    make_user,
)
from tests.shop.triggers import TRIGGERS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from django.test import Client

    from tests.partner import PartnerSink
    from tests.triggers.conftest import Declare

pytestmark = pytest.mark.django_db
PAID = "Order paid"


@pytest.fixture(autouse=True)
def _shop(shop: None) -> None:
    """The usual triggers."""


def pay(hit: ReferralHit, reference: str | None = "A-1", **values: Any) -> Confirmation:
    """Confirm for this very hit."""
    result = api.confirm(PAID, hit=hit, reference=reference, **{"amount": "12.50", "currency": "EUR"} | values)
    assert result.confirmation is not None
    assert result.created
    return result.confirmation


@pytest.fixture
def paid(world: SimpleNamespace) -> Confirmation:
    """An order of 12.50 EUR, credited to partner P."""
    return pay(make_hit(link=world.abc123))


def reversal_events() -> list[dict[str, Any]]:
    return [event.data for event in Event.objects.filter(type=EventType.REVERSAL).order_by("id")]


# --- what is written ----------------------------------------------------------------------------------------------------------


def test_a_confirmation_is_taken_back_with_one_event(paid: Confirmation) -> None:
    """N-08: marked reversed, with its reason in the partner's feed, and the note for staff alone."""
    staff = make_user()
    before = timezone.now()
    result = api.reverse(paid, reason="refund", note="broken on arrival", by=staff)
    assert (bool(result), result.created, result.reason) == (True, True, ReversalOutcome.REVERSED)
    paid.refresh_from_db()
    assert paid.reversed_at is not None
    assert before <= paid.reversed_at <= timezone.now()
    assert (paid.reversed_micros, result.confirmation) == (12_500_000, paid)
    reversal = Reversal.objects.get()
    assert result.reversal == reversal
    assert (reversal.reason, reversal.note, reversal.created_by) == ("refund", "broken on arrival", staff)
    assert (reversal.amount_micros, reversal.partial) == (12_500_000, False)
    event = Event.objects.get(type=EventType.REVERSAL)
    assert event.partner == "moox6esi"
    assert (event.data["confirmation"], event.data["reason"]) == (str(paid.pk), "refund")
    assert (event.data["amount"], event.data["currency"], event.data["partial"]) == ("12.50", "EUR", False)
    assert "broken" not in str(event.data)


@pytest.mark.parametrize("way", ["row", "id", "reference", "twin"])
def test_a_confirmation_may_be_named_in_several_ways(paid: Confirmation, way: str) -> None:
    """N-08, N-18: the confirmation, its id, or trigger and reference; the twin does the same."""
    if way == "twin":
        assert async_to_sync(api.areverse)(trigger=PAID, reference="A-1", reason="fraud", by=AnonymousUser()).created
    elif way == "reference":
        assert api.reverse(trigger=PAID, reference="A-1", reason="fraud").created
    else:
        assert api.reverse(paid if way == "row" else paid.pk, reason="fraud").created
    assert Reversal.objects.get().confirmation == paid


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"trigger": PAID},
        {"reference": "A-1"},
        {"trigger": PAID, "reference": ""},
        {"confirmation": "A-1"},
        {"trigger": PAID, "reference": "A-1", "amount": 1.5},
    ],
    ids=["nothing", "trigger alone", "reference alone", "empty reference", "text", "float"],
)
def test_an_unclear_reversal_is_a_type_error(paid: Confirmation, values: dict[str, Any]) -> None:
    """N-08: one way to name it, and no float."""
    with pytest.raises(TypeError):
        api.reverse(**values, reason="refund")
    with pytest.raises(TypeError):
        api.reverse(paid, trigger=PAID, reference="A-1", reason="refund")


@pytest.mark.parametrize("values", [{"reason": "because"}, {"reason": "refund", "amount": 0}, {"amount": -1}], ids=str)
def test_another_reason_or_no_amount_is_a_value_error(paid: Confirmation, values: dict[str, Any]) -> None:
    """N-08, N-10: the codes that partners see are a closed list; a part is more than nothing."""
    with pytest.raises(ValueError, match=r"because|nothing|negative"):
        api.reverse(paid, **{"reason": "refund"} | values)
    assert not Reversal.objects.exists()


def test_taking_back_twice_changes_nothing(paid: Confirmation) -> None:
    """N-09: the second is a no-op with `created=False`."""
    api.reverse(paid, reason="refund")
    again = api.reverse(paid, reason="fraud", amount=1)
    assert (bool(again), again.created, again.reason) == (False, False, ReversalOutcome.ALREADY_REVERSED)
    assert again.confirmation == paid
    assert (Reversal.objects.count(), len(reversal_events())) == (1, 1)


def test_what_does_not_exist_is_a_reason(paid: Confirmation) -> None:
    """N-09: `not-found`, no exception: by reference, by an id, and a row that was never saved."""
    for result in (
        api.reverse(trigger=PAID, reference="A-2", reason="refund"),
        api.reverse(trigger="User registered", reference="A-1", reason="refund"),
        api.reverse(paid.hit_id, reason="refund"),
        api.reverse(Confirmation(), reason="refund"),
    ):
        assert (result.created, result.reason, result.confirmation) == (False, ReversalOutcome.NOT_FOUND, None)
    assert not Reversal.objects.exists()


def test_a_trigger_that_left_the_settings_can_be_taken_back(declare: Declare, paid: Confirmation) -> None:
    """S-11, N-08: the name is stored; nothing crashes without its declaration."""
    declare()
    assert api.reverse(trigger=PAID, reference="A-1", reason="refund").created
    assert str(paid) == "Order paid A-1"


# --- in part -------------------------------------------------------------------------------------------------------------------


def test_parts_add_up_to_the_whole_and_no_further(paid: Confirmation) -> None:
    """N-10: the confirmation stands until all of it is taken back; more than is left changes nothing."""
    assert api.reverse(paid, reason="refund", amount="2.50").created
    too_much = api.reverse(paid, reason="refund", amount="10.01")
    assert (too_much.created, too_much.reason) == (False, ReversalOutcome.EXCEEDS_AMOUNT)
    paid.refresh_from_db()
    assert (paid.reversed_at, paid.reversed_micros) == (None, 2_500_000)
    assert api.confirm(PAID, hit=paid.hit, reference="A-1").reason is Reason.DUPLICATE_REFERENCE
    assert api.reverse(paid, reason="refund", amount=10).created
    paid.refresh_from_db()
    assert (paid.reversed_at is not None, paid.reversed_micros) == (True, 12_500_000)
    assert [(event["amount"], event["partial"]) for event in reversal_events()] == [("2.50", True), ("10.00", False)]


def test_the_whole_after_a_part_takes_the_rest(paid: Confirmation) -> None:
    """N-10, N-08: sums of events equal the amount."""
    api.reverse(paid, reason="refund", amount="2.50")
    assert api.reverse(paid, reason="fraud").created
    assert [(event["amount"], event["partial"]) for event in reversal_events()] == [("2.50", True), ("10.00", False)]


def test_without_an_amount_there_are_no_parts(world: SimpleNamespace) -> None:
    """N-10: it is taken back as a whole alone."""
    bare = pay(make_hit(link=world.abc123), amount=None, currency=None)
    assert api.reverse(bare, reason="refund", amount=1).reason is ReversalOutcome.EXCEEDS_AMOUNT
    assert api.reverse(bare, reason="refund").created
    assert (reversal_events()[0]["amount"], reversal_events()[0]["currency"]) == (None, None)


@pytest.mark.django_db(transaction=True)
def test_parts_at_once_never_exceed_the_amount(paid: Confirmation) -> None:
    """N-10: of eight refunds of 2.50 at once five fit into 12.50; the others are told."""
    answers = in_threads([lambda: api.reverse(paid.pk, reason="refund", amount="2.50").reason] * 8)
    assert sorted(map(str, answers)) == ["already-reversed"] * 3 + ["reversed"] * 5
    paid.refresh_from_db()
    assert paid.reversed_micros == 12_500_000
    assert [event["partial"] for event in reversal_events()].count(False) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_takes_it_back(paid: Confirmation) -> None:
    """N-09, N-14: one event, one signal."""
    heard: list[Any] = []
    referral_reversed.connect(listen := lambda **kwargs: heard.append(kwargs))
    try:
        answers = in_threads([lambda: api.reverse(paid.pk, reason="refund").created] * 8)
    finally:
        referral_reversed.disconnect(listen)
    assert sorted(answers) == [False] * 7 + [True]
    assert (len(reversal_events()), len(heard)) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_claims_confirmations_and_reversals_at_once_never_wait_for_ever(world: SimpleNamespace) -> None:
    """N-08, S-45: hits are locked before confirmations everywhere, so that no two wait for each other."""
    from livereferrals.tracking.claiming import claim

    for number in range(6):
        hit, user = make_hit(link=world.abc123), make_user()
        old = pay(hit, f"{number}-old")
        assert hit.visitor is not None
        acts: list[Callable[[], object]] = [
            partial(api.reverse, old.pk, reason="refund"),
            partial(claim, hit.visitor, user=user, now=timezone.now()),
            partial(api.confirm, PAID, hit=hit, reference=f"{number}-new"),
        ]
        answers = in_threads(acts)
        assert all(answers), answers


# --- what follows from it ------------------------------------------------------------------------------------------------------


def test_a_hit_is_dated_by_its_first_confirmation_that_stands(world: SimpleNamespace) -> None:
    """N-13: the earliest that is not reversed; with none the hit is unconfirmed again."""
    hit = make_hit(link=world.abc123, created_at=timezone.now() - timedelta(days=9))
    days = {number: timezone.now() - timedelta(days=number) for number in (1, 2, 3)}
    late, first, second = (pay(hit, str(number), occurred_at=days[number]) for number in (1, 3, 2))

    def dated() -> Any:
        hit.refresh_from_db()
        return hit.confirmed_at

    assert dated() == days[3]
    assert list(ReferralHit.objects.confirmed()) == [hit]
    api.reverse(first, reason="refund")
    assert dated() == days[2]
    api.reverse(second, reason="refund", amount=1)
    assert dated() == days[2]
    api.reverse(second, reason="refund")
    assert dated() == days[1]
    api.reverse(late, reason="refund")
    assert dated() is None
    assert (list(ReferralHit.objects.confirmed()), list(ReferralHit.objects.unconfirmed())) == ([], [hit])


def test_a_once_trigger_may_confirm_again_with_another_reference(declare: Declare, world: SimpleNamespace) -> None:
    """N-11: not with the same reference, and not without one; a part that is taken back frees nothing."""
    manual: dict[str, Any] = {
        "signal": "tests.shop.signals.order_paid",
        "receiver": "livereferrals.triggers.signal_sent",
    }
    declare(Trigger(PAID, once=True, **manual))
    hit = make_hit(link=world.house1)
    first = pay(hit, "A-1")
    api.reverse(first, reason="refund", amount=1)
    assert api.confirm(PAID, hit=hit, reference="A-2").reason is Reason.ALREADY_CONFIRMED
    api.reverse(first, reason="refund")
    assert api.confirm(PAID, hit=hit, reference="A-1").reason is Reason.ALREADY_REVERSED
    assert api.confirm(PAID, hit=hit).reason is Reason.ALREADY_CONFIRMED
    assert api.confirm(PAID, hit=hit, reference="A-2").created


def test_a_correction_is_a_reversal_and_a_new_one(paid: Confirmation) -> None:
    """N-15: the first keeps what it said."""
    api.reverse(paid, reason="mistake")
    again = pay(paid.hit, "A-1b", amount="11.00")
    paid.refresh_from_db()
    assert (paid.amount_micros, again.amount_micros) == (12_500_000, 11_000_000)


@pytest.mark.django_db(transaction=True)
def test_the_host_hears_of_it_after_the_commit(paid: Confirmation, caplog: pytest.LogCaptureFixture) -> None:
    """N-14, N-08: once; not for what is rolled back; an error in a receiver touches nothing else."""
    heard: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        heard.append(kwargs)
        raise ZeroDivisionError

    referral_reversed.connect(listen)
    try:
        with transaction.atomic():
            assert api.reverse(paid, reason="refund").created
            transaction.set_rollback(True)
        assert (heard, Reversal.objects.count(), reversal_events()) == ([], 0, [])
        with transaction.atomic():
            result = api.reverse(paid, reason="refund")
            assert heard == []
        assert api.reverse(paid, reason="refund").created is False
    finally:
        referral_reversed.disconnect(listen)
    (told,) = heard
    assert (told["confirmation"], told["reversal"], told["hit"]) == (paid, result.reversal, paid.hit)
    assert (told["visitor"], told["user"], told["trigger"]) == (paid.visitor, None, PAID)
    assert "ZeroDivisionError" in caplog.text


# --- what partners are owed ---------------------------------------------------------------------------------------------------


def owed(confirmation: Confirmation) -> list[tuple[str, str, str]]:
    rows = Delivery.objects.filter(confirmation=confirmation).order_by("id")
    return [(row.kind, row.state, row.end_reason) for row in rows]


def begin(confirmation: Confirmation) -> Delivery:
    """Have one failed attempt at the confirmation's delivery behind it."""
    delivery = Delivery.objects.get(confirmation=confirmation, kind=DeliveryKind.CONFIRMATION)
    Delivery.objects.filter(pk=delivery.pk).update(attempts=1)
    return delivery


def test_reversed_before_any_attempt_nothing_is_sent(paid: Confirmation) -> None:
    """N-12, callback-F53: the delivery is cancelled, the log says so, and no reversal is owed."""
    api.reverse(paid, reason="refund", amount=1)
    assert owed(paid) == [("confirmation", "waiting", ""), ("reversal", "waiting", "")]
    api.reverse(paid, reason="refund")
    assert owed(paid) == [("confirmation", "cancelled", "reversed"), ("reversal", "cancelled", "reversed")]
    told = Event.objects.filter(type=EventType.DELIVERY).order_by("id")
    assert [(event.data["outcome"], event.data["reason"]) for event in told] == [("cancelled", "reversed")] * 2
    assert Delivery.objects.filter(finished_at__isnull=True).count() == 0


def test_reversed_after_an_attempt_the_reversal_follows(paid: Confirmation) -> None:
    """N-12, callback-F53: behind the confirmation's delivery, with the event as its body."""
    first = begin(paid)
    api.reverse(paid, reason="refund")
    second = Delivery.objects.get(kind=DeliveryKind.REVERSAL)
    assert (second.after, second.subscription, second.state) == (first, first.subscription, "waiting")
    event = Event.objects.get(type=EventType.REVERSAL)
    assert second.event == event.id
    assert second.payload is not None
    assert (second.payload["type"], second.payload["data"]["reason"]) == ("reversal", "refund")


@pytest.mark.parametrize(
    ("values", "is_owed"),
    [
        ({"method": "POST", "send_reversals": True}, True),
        ({"method": "POST", "send_reversals": False, "reversal_url": "https://partner.example/r"}, False),
        ({"method": "GET", "reversal_url": ""}, False),
        ({"method": "GET", "reversal_url": "https://partner.example/r", "send_reversals": False}, True),
        ({"archived_at": timezone.now()}, False),
    ],
    ids=["post", "post without", "get without", "get", "archived"],
)
def test_only_who_wants_reversals_is_owed_one(paid: Confirmation, values: dict[str, Any], is_owed: bool) -> None:
    """N-12: POST with `send_reversals`, GET with a reversal URL; an archived subscription is owed nothing."""
    begin(paid)
    subscription = Delivery.objects.get().subscription
    type(subscription).objects.filter(pk=subscription.pk).update(**values)
    api.reverse(paid, reason="refund")
    assert Delivery.objects.filter(kind=DeliveryKind.REVERSAL).exists() is is_owed


def test_who_was_never_owed_the_confirmation_hears_of_no_reversal(world: SimpleNamespace) -> None:
    """N-12, S-38: a link without partner, and a subscription made later."""
    house = pay(make_hit(link=world.house1))
    partner = make_partner()
    earlier = make_confirmation(hit=make_hit(link=make_link(partner=partner)), reference="old")
    make_subscription(partner=partner)
    for confirmation in (house, earlier):
        assert api.reverse(confirmation, reason="refund").created
    assert not Delivery.objects.exists()


@pytest.fixture
def live(declare: Declare, sink: PartnerSink) -> Confirmation:
    """A confirmation owed to a partner's real server."""
    declare(*TRIGGERS, CALLBACKS={"WORKER": "off", "ALLOW": LOOPBACK, "RETRY_SCHEDULE": [1] * 5})
    subscription = subscribe(sink.url())
    return pay(make_hit(link=make_link(partner=subscription.partner)))


@pytest.mark.django_db(transaction=True)
def test_the_partner_gets_the_confirmation_and_then_the_reversal(live: Confirmation, sink: PartnerSink) -> None:
    """callback-F53, N-12: in this order, each once."""
    with running_worker():
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
        with transaction.atomic():
            api.reverse(live, reason="refund", amount="2.50")
            api.reverse(live, reason="refund")
        wait_until(lambda: Delivery.objects.filter(state="delivered").count() == 3)
    said = [(call.json()["type"], call.json()["data"]["amount"]) for call in sink.calls]
    assert (said[0], sorted(said[1:])) == (("confirmation", "12.50"), [("reversal", "10.00"), ("reversal", "2.50")])


@pytest.mark.django_db(transaction=True)
def test_the_partner_hears_nothing_of_what_was_taken_back_in_time(live: Confirmation, sink: PartnerSink) -> None:
    """callback-F53, N-12: neither is sent; another confirmation is."""
    api.reverse(live, reason="refund")
    other = pay(make_hit(link=live.hit.link), "A-2")
    with running_worker():
        wait_for_state(Delivery.objects.get(confirmation=other), DeliveryState.DELIVERED)
    assert [call.json()["data"]["reference"] for call in sink.calls] == ["A-2"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    "sqlite" in django_settings.DATABASES["default"]["ENGINE"], reason="SQLite has one writer at a time"
)
def test_a_worker_passes_by_what_is_being_taken_back(live: Confirmation, sink: PartnerSink) -> None:
    """callback-F53: while the host's transaction is open others are called; rolled back, so is this one."""
    other = pay(make_hit(link=live.hit.link), "A-2")
    with running_worker():
        with transaction.atomic():
            api.reverse(live, reason="refund")
            # Counted at the partner's: this transaction's own view of the rows is not the worker's.
            wait_until(lambda: sink.calls)
            assert [call.json()["data"]["reference"] for call in sink.calls] == ["A-2"]
            transaction.set_rollback(True)
        wait_for_state(Delivery.objects.get(confirmation=live), DeliveryState.DELIVERED)
    assert Delivery.objects.get(confirmation=other).state == DeliveryState.DELIVERED


def test_a_confirmation_is_not_edited_in_the_admin(paid: Confirmation, client: Client) -> None:
    """N-15: not by those who may do everything either."""
    client.force_login(make_staff())
    response = client.post(reverse("admin:livereferrals_confirmation_change", args=[paid.pk]), {"reference": "A-9"})
    assert response.status_code == 403
    paid.refresh_from_db()
    assert paid.reference == "A-1"
