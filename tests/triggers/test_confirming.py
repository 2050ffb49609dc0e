"""Confirming: the checks in their order, the rows, and the host's transaction."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection, connections, transaction
from django.utils import timezone

from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event, EventType
from livereferrals.signals import referral_confirmed
from livereferrals.tracking.claiming import claim
from livereferrals.tracking.models import Confirmation, ReferralHit, ReferralLink, Visitor
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger, complete_trigger
from tests.events.load import in_threads
from tests.factories import (
    make_confirmation,
    make_hit,
    make_link,
    make_partner,
    make_subscription,
    make_user,
    make_visitor,
)
from tests.tracking.browsers import Statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace

    from pytest_django import DjangoAssertNumQueries

    from livereferrals.triggers.confirming import Result
    from tests.triggers.conftest import Declare

pytestmark = pytest.mark.django_db
MANUAL: dict[str, Any] = {"signal": "tests.shop.signals.order_paid", "receiver": "livereferrals.triggers.signal_sent"}


@pytest.fixture(autouse=True)
def _shop(shop: None) -> None:
    """The usual triggers; a test may declare others."""


def pay(visitor: Any = None, **overrides: Any) -> Result:
    return complete_trigger(None, "Order paid", visitor=visitor, **overrides)


# --- the reasons ------------------------------------------------------------------------------------------------------------


def test_a_confirmation_is_credited_with_event_and_delivery(world: SimpleNamespace) -> None:
    """S-30, S-39: a true result; the confirmation, one event of the partner's, one delivery to its subscription."""
    hit = make_hit(link=world.abc123)
    result = pay(hit.visitor, reference="A-1", amount=Decimal("12.50"), currency="eur", extra={"sku": 7})
    assert result
    assert (result.created, result.reason, result.hit) == (True, Reason.CONFIRMED, hit)
    confirmation = Confirmation.objects.get()
    assert result.confirmation == confirmation
    assert (confirmation.trigger, confirmation.hit, confirmation.partner) == ("Order paid", hit, world.p)
    assert (confirmation.reference, confirmation.amount_micros, confirmation.currency) == ("A-1", 12_500_000, "EUR")
    assert (confirmation.rule, confirmation.trace, confirmation.extra) == ("last_click", result.trace, {"sku": 7})
    event = Event.objects.get(type=EventType.CONFIRMATION)
    assert (event.partner, event.data["amount"], event.data["reference"]) == ("moox6esi", "12.50", "A-1")
    delivery = Delivery.objects.get()
    assert (delivery.confirmation, delivery.event, delivery.subscription.partner) == (confirmation, event.id, world.p)
    hit.refresh_from_db()
    assert hit.confirmed_at == confirmation.occurred_at


def test_a_link_without_partner_confirms_and_owes_nothing(world: SimpleNamespace) -> None:
    """S-38: neither activity nor subscription is asked; the house's log has the event."""
    result = pay(make_hit(link=world.house1).visitor)
    assert (bool(result), Delivery.objects.count()) == (True, 0)
    assert Event.objects.get().partner == ""
    assert pay(make_hit(link=world.ann1).visitor)


def test_a_subscription_without_url_is_owed_no_delivery(world: SimpleNamespace) -> None:
    """S-39: the partner sees it in the feed and the dashboard alone."""
    partner = make_partner()
    make_subscription(partner=partner, callback_url="")
    assert pay(make_hit(link=make_link(partner=partner)).visitor)
    assert not Delivery.objects.exists()


def refused(result: Result) -> Reason:
    """Return the reason of a result that created nothing, also in its trace."""
    assert not result.created
    assert result.trace["outcome"] == result.reason
    return result.reason


def test_an_unknown_trigger_is_refused_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """S-31 no. 1: before everything else."""
    assert refused(complete_trigger(None, "Ordr paid", reference="x" * 300)) is Reason.UNKNOWN_TRIGGER
    assert "Ordr paid" in caplog.text


def test_a_trigger_that_is_off_is_refused(declare: Declare) -> None:
    """S-31 no. 2."""
    declare(Trigger("Order paid", enabled=False, **MANUAL))
    assert refused(pay(make_hit().visitor)) is Reason.TRIGGER_DISABLED


def test_nobody_is_no_subject() -> None:
    """S-31 no. 6, X-37, X-38: no user, no visitor, no request; an old or forged token is nobody."""
    assert refused(pay()) is Reason.NO_SUBJECT
    assert refused(pay("forged")) is Reason.NO_SUBJECT


@pytest.mark.parametrize("who", [AnonymousUser(), None], ids=["anonymous", "none"])
def test_an_anonymous_user_counts_as_none(who: Any) -> None:
    """S-37, X-39."""
    assert refused(complete_trigger(None, "Order paid", user=who)) is Reason.NO_SUBJECT


def test_a_deleted_or_unsaved_user_counts_as_none(django_user_model: Any) -> None:
    """S-37."""
    user = make_user()
    user.delete()
    assert refused(complete_trigger(None, "Order paid", user=user)) is Reason.NO_SUBJECT
    assert refused(complete_trigger(None, "Order paid", user=django_user_model(username="new"))) is Reason.NO_SUBJECT


def test_what_is_no_user_is_a_bad_mapping() -> None:
    """S-12: a value of the wrong kind is a reason, not an exception in the host."""
    stranger: Any = make_partner()
    assert refused(complete_trigger(None, "Order paid", user=stranger)) is Reason.BAD_MAPPING


def test_a_visitor_who_never_followed_has_no_hits() -> None:
    """S-31 no. 8."""
    assert refused(pay(make_visitor())) is Reason.NO_HITS


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"created_at": datetime(2020, 1, 1, tzinfo=UTC)}, Reason.OUT_OF_WINDOW),
        ({"self_referral": True}, Reason.SELF_REFERRAL),
        ({"bot": True}, Reason.BOT),
        ({"flagged_by": "office"}, Reason.FLAGGED),
        ({"no_consent": True}, Reason.NO_CONSENT),
        ({"link": {"disabled": True, "drop_pending": True}}, Reason.LINK_DISABLED),
        ({"link": {"disabled": True}}, Reason.CONFIRMED),
        ({"partner": {"active": False}}, Reason.PARTNER_INACTIVE),
        ({"subscribed": False}, Reason.NOT_SUBSCRIBED),
    ],
    ids=str,
)
def test_hits_that_may_not_be_credited_say_why(values: dict[str, Any], reason: Reason) -> None:
    """S-31 no. 9 to 13: read from the rows."""
    partner = make_partner()
    make_subscription(partner=partner, archived_at=None if values.pop("subscribed", True) else timezone.now())
    link = make_link(partner=partner, **values.pop("link", {}))
    hit = make_hit(link=link, **{key: value for key, value in values.items() if key != "partner"})
    for name, value in values.get("partner", {}).items():
        setattr(partner, name, value)
        partner.save()
    assert pay(hit.visitor).reason is reason


def test_a_paused_endpoint_is_still_subscribed(world: SimpleNamespace) -> None:
    """S-31 no. 13: a pause holds deliveries and never takes credit away."""
    subscription = world.p.subscriptions.get(trigger="Order paid")
    subscription.endpoint.state = "paused"
    subscription.endpoint.save()
    assert pay(make_hit(link=world.abc123).visitor)
    assert Delivery.objects.get().subscription == subscription


def test_who_is_not_subscribed_is_stepped_over(world: SimpleNamespace) -> None:
    """A-02: followed P's link, then Q's; Q is not subscribed to "Order paid", so P gets it, and the trace says why."""
    visitor, now = make_visitor(), timezone.now()
    first = make_hit(link=world.abc123, visitor=visitor, created_at=now - timedelta(minutes=2))
    make_hit(link=world.qqq777, visitor=visitor, created_at=now - timedelta(minutes=1))
    result = pay(visitor)
    assert result.hit == first
    assert [(each["link"], each["verdict"]) for each in result.trace["hits"]] == [
        ("qqq777", "not-subscribed"),
        ("abc123", "credited"),
    ]
    assert result.trace["subject"] == {"user": None, "visitors": [str(visitor.pk)], "how": "visitor"}


# --- references and once -------------------------------------------------------------------------------------------------------


def test_a_reference_is_confirmed_once(world: SimpleNamespace) -> None:
    """S-31 no. 4: the earlier confirmation is returned; the same for another visitor, and for nobody at all."""
    first = pay(make_hit(link=world.abc123).visitor, reference="A-1")
    for again in (pay(make_hit(link=world.abc123).visitor, reference="A-1"), pay(reference="A-1")):
        assert (again.confirmation, refused(again)) == (first.confirmation, Reason.DUPLICATE_REFERENCE)
        assert again
    assert (Confirmation.objects.count(), Delivery.objects.count()) == (1, 1)


def test_a_reversed_reference_stays_reversed(world: SimpleNamespace) -> None:
    """S-31 no. 5: found, and false, because nothing stands."""
    before = make_confirmation(reference="A-1", reversed_at=timezone.now())
    again = pay(make_hit(link=world.abc123).visitor, reference="A-1")
    assert (again.confirmation, refused(again), bool(again)) == (before, Reason.ALREADY_REVERSED, False)


def test_a_repeat_with_another_amount_is_logged(world: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    """N-04: the first amount stays, a warning names both."""
    visitor = make_hit(link=world.abc123).visitor
    pay(visitor, reference="A-1", amount=10, currency="EUR")
    with caplog.at_level(logging.WARNING):
        pay(visitor, reference="A-1", amount=10, currency="EUR")
        assert not caplog.records
        again = pay(visitor, reference="A-1", amount=11, currency="EUR")
    assert again.confirmation is not None
    assert again.confirmation.amount_micros == 10_000_000
    assert "10.00 EUR" in caplog.text
    assert "11.00 EUR" in caplog.text


def test_without_reference_a_person_is_confirmed_once(world: SimpleNamespace) -> None:
    """S-40, S-31 no. 7: over all partners and devices."""
    user = make_user()
    phone, laptop = make_visitor(user=user), make_visitor(user=user)
    make_hit(link=world.abc123, visitor=phone)
    make_hit(link=world.house1, visitor=laptop)
    first = pay(phone)
    for again in (pay(phone), pay(laptop), complete_trigger(None, "Order paid", user=user)):
        assert (again.confirmation, refused(again)) == (first.confirmation, Reason.ALREADY_CONFIRMED)
    assert Confirmation.objects.count() == 1


def test_with_references_a_person_may_confirm_often(world: SimpleNamespace) -> None:
    """S-40: each reference once."""
    visitor = make_hit(link=world.abc123).visitor
    assert all(pay(visitor, reference=number).created for number in (1, 2, 3))


def test_the_same_reference_under_two_triggers_is_two_confirmations(world: SimpleNamespace) -> None:
    """S-43."""
    visitor = make_hit(link=world.abc123).visitor
    assert pay(visitor, reference="A-1").created
    assert complete_trigger(None, "User registered", visitor=visitor, reference="A-1").created


def test_one_visitor_may_confirm_several_triggers(world: SimpleNamespace) -> None:
    """S-41, X-44, X-45: registered and paid, one hit credited twice."""
    visitor = make_hit(link=world.abc123).visitor
    assert complete_trigger(None, "User registered", visitor=visitor).created
    assert pay(visitor).created
    assert Confirmation.objects.values("hit").distinct().count() == 1


def test_once_with_references_takes_the_first_alone(declare: Declare, world: SimpleNamespace) -> None:
    """S-42: `once=True`."""
    declare(Trigger("Order paid", once=True, **MANUAL))
    visitor = make_hit(link=world.house1).visitor
    assert pay(visitor, reference="A-1").created
    assert refused(pay(visitor, reference="A-2")) is Reason.ALREADY_CONFIRMED


def test_not_once_without_reference_takes_each(declare: Declare, world: SimpleNamespace) -> None:
    """S-42: `once=False`."""
    declare(Trigger("Order paid", once=False, **MANUAL))
    visitor = make_hit(link=world.house1).visitor
    assert pay(visitor).created
    assert pay(visitor).created


def test_a_visitor_who_confirmed_and_was_claimed_is_the_same_person(world: SimpleNamespace) -> None:
    """S-44: not again as a user."""
    visitor = make_visitor()
    make_hit(link=world.house1, visitor=visitor)
    assert pay(visitor).created
    user = make_user()
    assert claim(visitor, user=user, now=timezone.now())
    make_hit(link=world.house1, visitor=make_visitor(user=user))
    assert refused(complete_trigger(None, "Order paid", user=user)) is Reason.ALREADY_CONFIRMED


@pytest.mark.parametrize(
    ("reference", "reason"),
    [("A-2", Reason.CONFIRMED), ("A-1", Reason.ALREADY_REVERSED), (None, Reason.ALREADY_CONFIRMED)],
)
def test_what_was_reversed_lets_another_reference_through(
    declare: Declare, world: SimpleNamespace, reference: str | None, reason: Reason
) -> None:
    """N-11: not the same one, and not without one."""
    declare(Trigger("Order paid", once=True, **MANUAL))
    visitor = make_hit(link=world.house1).visitor
    pay(visitor, reference="A-1")
    Confirmation.objects.update(reversed_at=timezone.now())
    assert pay(visitor, reference=reference).reason is reason


# --- rule, window and amount of the trigger -------------------------------------------------------------------------------------


def test_a_triggers_own_rule_and_window_go_first(declare: Declare, world: SimpleNamespace) -> None:
    """S-14, A-01, A-03: before those of the settings."""
    own: dict[str, Any] = {"attribution": "first_click", "window": timedelta(days=30)}
    declare(Trigger("own", **own, **MANUAL), Trigger("usual", **MANUAL), Trigger("endless", window=None, **MANUAL))
    visitor, now = make_visitor(), timezone.now()
    days = (200, 20, 10)
    hits = {age: make_hit(link=world.house1, visitor=visitor, created_at=now - timedelta(days=age)) for age in days}
    assert complete_trigger(None, "own", visitor=visitor).hit == hits[20]
    assert complete_trigger(None, "usual", visitor=visitor).hit == hits[10]
    ReferralHit.objects.exclude(pk=hits[200].pk).update(bot=True)
    assert complete_trigger(None, "endless", visitor=visitor).hit == hits[200]


def test_the_window_is_measured_to_the_time_of_the_conversion(world: SimpleNamespace) -> None:
    """A-03: `occurred_at`, not to when it is told; a naive time is of the project's zone."""
    now = timezone.now()
    hit = make_hit(link=world.house1, created_at=now - timedelta(days=100))
    assert refused(pay(hit.visitor)) is Reason.OUT_OF_WINDOW
    result = pay(hit.visitor, occurred_at=timezone.make_naive(now - timedelta(days=11)))
    assert result.confirmation is not None
    assert result.confirmation.occurred_at == now - timedelta(days=11)


def test_the_choice_stays_when_rules_and_partners_change(declare: Declare, world: SimpleNamespace) -> None:
    """A-08: rule, trace, hit and partner are stored with the confirmation."""
    hit = make_hit(link=world.abc123)
    result = pay(hit.visitor)
    declare(ATTRIBUTION="first_click", ATTRIBUTION_WINDOW=1)
    world.p.active = False
    world.p.save()
    ReferralLink.objects.filter(pk=hit.link_id).update(disabled=True, drop_pending=True)
    confirmation = Confirmation.objects.get()
    assert (confirmation.rule, confirmation.trace) == ("last_click", result.trace)
    assert (confirmation.hit, confirmation.partner) == (hit, world.p)


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        (1.5, "EUR"),
        ("NaN", "EUR"),
        (-1, "EUR"),
        (10**12, "EUR"),
        (1, None),
        (1, "ABC"),
        ("much", "EUR"),
        (object(), "EUR"),
    ],
    ids=["float", "nan", "negative", "huge", "no currency", "no such currency", "text", "object"],
)
def test_a_sale_is_not_lost_for_its_number(
    world: SimpleNamespace, caplog: pytest.LogCaptureFixture, amount: Any, currency: str | None
) -> None:
    """N-06, N-07: kept without amount, marked and logged."""
    result = pay(make_hit(link=world.abc123).visitor, reference="A-1", amount=amount, currency=currency)
    assert result.confirmation is not None
    assert (result.confirmation.amount_micros, result.confirmation.currency) == (None, "")
    assert result.confirmation.problem == "bad-amount"
    assert "without its amount" in caplog.text
    assert Event.objects.get().data["amount"] is None


def test_zero_is_an_amount(world: SimpleNamespace) -> None:
    """N-06: zero is fine."""
    result = pay(make_hit(link=world.abc123).visitor, amount=0, currency="EUR")
    assert result.confirmation is not None
    assert (result.confirmation.amount_micros, result.confirmation.problem) == (0, "")


def test_an_amount_takes_the_default_currency(declare: Declare, world: SimpleNamespace) -> None:
    """N-07."""
    declare(Trigger("Order paid", **MANUAL), DEFAULT_CURRENCY="CHF")
    result = pay(make_hit(link=world.house1).visitor, amount=3)
    assert result.confirmation is not None
    assert result.confirmation.currency == "CHF"


def test_a_large_amount_is_exact_on_every_database(world: SimpleNamespace) -> None:
    """N-05: where a decimal column would be a float."""
    visitor = make_hit(link=world.abc123).visitor
    pay(visitor, reference="A-1", amount="123456789012.123", currency="KWD")
    assert Confirmation.objects.get().amount_micros == 123_456_789_012_123_000


@pytest.mark.parametrize("reference", ["x" * 201, "a\x00b", object(), True], ids=["long", "NUL", "object", "bool"])
def test_a_bad_reference_is_a_bad_mapping(reference: object) -> None:
    """N-03, S-12: a reason, not an exception."""
    assert refused(pay(make_hit().visitor, reference=reference)) is Reason.BAD_MAPPING


def test_an_unknown_keyword_is_a_programming_error() -> None:
    """S-30: it raises."""
    call: Any = complete_trigger
    with pytest.raises(TypeError):
        call(None, "Order paid", colour="red")


# --- queries ------------------------------------------------------------------------------------------------------------------


def test_crediting_takes_eight_queries_at_most(world: SimpleNamespace) -> None:
    """S-27: savepoints left out, the deliveries included."""
    user = make_user()
    hit = make_hit(link=world.abc123, visitor=make_visitor(user=user))
    with Statements() as statements:
        assert complete_trigger(None, "Order paid", user=user, reference="A-1", amount=1, currency="EUR")
    assert len(statements.made) <= 8, statements.made
    assert hit.confirmed_at is None


def test_nothing_is_read_after_the_commit_where_nobody_listens(
    world: SimpleNamespace, django_capture_on_commit_callbacks: Any
) -> None:
    """S-27: the user of a confirmation is read for receivers of `referral_confirmed` alone"""
    user = make_user()
    make_hit(link=world.abc123, visitor=make_visitor(user=user))
    with django_capture_on_commit_callbacks() as callbacks:
        assert complete_trigger(None, "Order paid", user=user, reference="A-1", amount=1, currency="EUR")
    (telling,) = [callback for callback in callbacks if callback.__name__ == "tell_host"]
    with Statements() as statements:
        telling()
    assert statements.made == []


# --- transactions ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What `referral_confirmed` has told the host."""
    calls: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        calls.append(kwargs)

    referral_confirmed.connect(listen)
    yield calls
    referral_confirmed.disconnect(listen)


class HostError(Exception):
    """Something of the host's own."""


def pay_and_fail(visitor: Any, **values: Any) -> None:
    """Confirm inside a block of the host that rolls back."""
    with transaction.atomic():
        assert pay(visitor, **values)
        raise HostError


@pytest.mark.django_db(transaction=True)
def test_a_rollback_of_the_host_takes_everything_with_it(world: SimpleNamespace, heard: list[Any]) -> None:
    """S-50, X-42: no confirmation, event, delivery or signal; the hit is as it was."""
    hit = make_hit(link=world.abc123)
    with pytest.raises(HostError):
        pay_and_fail(hit.visitor)
    hit.refresh_from_db()
    assert (Confirmation.objects.count(), Event.objects.count(), Delivery.objects.count()) == (0, 0, 0)
    assert (heard, hit.confirmed_at) == ([], None)


@pytest.mark.django_db(transaction=True)
def test_an_inner_rollback_takes_its_own_alone(world: SimpleNamespace, heard: list[Any]) -> None:
    """S-51: the outer transaction commits."""
    visitor = make_hit(link=world.abc123).visitor
    with transaction.atomic():
        assert pay(visitor, reference="outer")
        with pytest.raises(HostError):
            pay_and_fail(visitor, reference="inner")
    assert Confirmation.objects.get().reference == "outer"
    assert (Event.objects.count(), Delivery.objects.count(), len(heard)) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_one_is_made(world: SimpleNamespace) -> None:
    """S-52: committed at once, in one transaction of its own."""
    visitor = make_hit(link=world.abc123).visitor
    assert not connection.in_atomic_block
    with Statements() as statements:
        assert pay(visitor)
    assert statements.transactions == 1
    assert Event.objects.get().seq == 1


@pytest.mark.django_db(transaction=True)
def test_the_host_hears_after_the_commit(world: SimpleNamespace, heard: list[dict[str, Any]]) -> None:
    """S-53, N-14: once, with confirmation, hit, visitor, user and trigger."""
    user = make_user()
    hit = make_hit(link=world.abc123, visitor=make_visitor(user=user))
    with transaction.atomic():
        result = complete_trigger(None, "Order paid", user=user)
        assert (heard, Event.objects.get().seq) == ([], None)
    (told,) = heard
    assert (told["confirmation"], told["hit"], told["visitor"]) == (result.confirmation, hit, hit.visitor)
    assert (told["user"], told["trigger"]) == (user, "Order paid")
    assert Event.objects.get().seq == 1


@pytest.mark.django_db(transaction=True)
def test_the_host_hears_too_when_the_user_is_deleted_right_after_the_commit(
    world: SimpleNamespace, heard: list[dict[str, Any]]
) -> None:
    """S-53: of nobody then, as the row says."""
    user = make_user()
    hit = make_hit(link=world.abc123, visitor=make_visitor(user=user))
    with transaction.atomic():
        transaction.on_commit(user.delete)
        result = complete_trigger(None, "Order paid", user=user, reference="A-1")
    (told,) = heard
    assert (told["confirmation"], told["hit"], told["visitor"]) == (result.confirmation, hit, hit.visitor)
    assert (told["user"], told["confirmation"].user) == (None, None)


class HeardToo:
    """Another receiver of the host's."""

    times = 0

    def __call__(self, **kwargs: Any) -> None:
        self.times += 1


@pytest.mark.django_db(transaction=True)
def test_an_error_in_a_hosts_receiver_touches_nothing_else(
    world: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    """S-53: `referral_confirmed` fails after the commit; the confirmation stands, others hear it, the log goes on."""

    def fail(**kwargs: Any) -> None:
        raise HostError

    referral_confirmed.connect(fail)
    referral_confirmed.connect(heard_too := HeardToo())
    try:
        assert pay(make_hit(link=world.abc123).visitor)
    finally:
        referral_confirmed.disconnect(fail)
        referral_confirmed.disconnect(heard_too)
    assert (Confirmation.objects.count(), Event.objects.get().seq, heard_too.times) == (1, 1, 1)
    assert "HostError" in caplog.text


def test_a_test_case_sees_the_confirmation_inside_its_transaction(
    world: SimpleNamespace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """S-55: no commit is needed to see it."""
    assert connection.in_atomic_block
    pay(make_hit(link=world.abc123).visitor)
    with django_assert_num_queries(1):
        assert Confirmation.objects.exists()


@contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Let somebody else do `act`, and commit, right after the hits have been read."""
    rivals: list[threading.Thread] = []

    def run() -> None:
        act()
        connections.close_all()

    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if not rivals and 'FROM "livereferrals_referralhit"' in sql:
            rivals.append(threading.Thread(target=run))
            rivals[0].start()
            rivals[0].join()
        return answer

    with connection.execute_wrapper(wrapper):
        yield
    assert rivals


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("reference", "reason"),
    [("A-1", Reason.DUPLICATE_REFERENCE), (None, Reason.ALREADY_CONFIRMED)],
    ids=["reference", "once"],
)
def test_who_comes_second_between_look_and_write_is_told(
    world: SimpleNamespace, reference: str | None, reason: Reason
) -> None:
    """S-45: the constraint decides, and the answer is the one of who comes late, with the first confirmation."""
    visitor = make_hit(link=world.abc123).visitor
    with meanwhile(lambda: pay(visitor, reference=reference)):
        result = pay(visitor, reference=reference)
    assert (refused(result), result.confirmation) == (reason, Confirmation.objects.get())
    assert (Event.objects.count(), Delivery.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_hit_that_is_deleted_meanwhile_was_never_there(world: SimpleNamespace) -> None:
    """S-45: the next candidate is credited, or there are no hits; the host's transaction commits in either case."""
    visitor, now = make_visitor(), timezone.now()
    older = make_hit(link=world.abc123, visitor=visitor, created_at=now - timedelta(hours=1))
    newer = make_hit(link=world.abc123, visitor=visitor, created_at=now)
    with meanwhile(newer.delete), host_transaction():
        assert pay(visitor, reference="A-1").hit == older
    lone = make_hit(link=world.abc123)
    with meanwhile(lone.delete), host_transaction():
        assert refused(pay(lone.visitor, reference="A-2")) is Reason.NO_HITS
    assert Confirmation.objects.get().reference == "A-1"


@contextmanager
def host_transaction() -> Iterator[None]:
    """On PostgreSQL the host's own transaction, in which foreign keys are looked at when it commits.

    On SQLite nobody else can write while one is open.
    """
    if connection.vendor == "sqlite":
        yield
        return
    with transaction.atomic():
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("gone", ["visitor", "user"])
def test_a_person_who_is_deleted_meanwhile_is_nobody(world: SimpleNamespace, gone: str) -> None:
    """S-37, S-45: a visitor or a user whose row has gone; what is left of the subject counts, and nothing fails later."""
    user = make_user()
    hit = make_hit(link=world.abc123, visitor=make_visitor(user=user) if gone == "visitor" else make_visitor())
    assert hit.visitor is not None
    act: Any = hit.visitor.delete if gone == "visitor" else User.objects.get(pk=user.pk).delete
    with meanwhile(act), host_transaction():
        result = complete_trigger(None, "Order paid", user=user, visitor=hit.visitor)
    assert result.confirmation is not None
    found = Confirmation.objects.get()
    assert (found.hit, found.visitor, found.user) == (
        (hit, None, user) if gone == "visitor" else (hit, hit.visitor, None)
    )


@pytest.mark.django_db(transaction=True)
def test_a_claim_between_look_and_write_is_seen(world: SimpleNamespace) -> None:
    """S-44, S-45: the confirmation is the user's, who is not confirmed again elsewhere."""
    user, visitor = make_user(), make_visitor()
    make_hit(link=world.abc123, visitor=visitor)
    with meanwhile(lambda: claim(visitor, user=user, now=timezone.now())), host_transaction():
        assert pay(make_copy(visitor)).created
    assert Confirmation.objects.get().user == user
    make_hit(link=world.abc123, visitor=make_visitor(user=user))
    assert refused(complete_trigger(None, "Order paid", user=user)) is Reason.ALREADY_CONFIRMED


def make_copy(visitor: Any) -> Visitor:
    """Return the visitor as another process has read it."""
    return Visitor.objects.get(pk=visitor.pk)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("reference", "other"),
    [("A-1", Reason.DUPLICATE_REFERENCE), (None, Reason.ALREADY_CONFIRMED)],
    ids=["reference", "once"],
)
def test_of_twenty_at_once_one_confirms(world: SimpleNamespace, reference: str | None, other: Reason) -> None:
    """S-45: one row, 19 answers with the reason, no exception, and every host's transaction goes on and commits."""
    user = make_user()
    make_hit(link=world.abc123, visitor=make_visitor(user=user))

    def confirm(index: int) -> Reason:
        with transaction.atomic():
            result = complete_trigger(None, "Order paid", user=user, reference=reference)
            make_partner(name=f"of the host {index}")
        assert result.confirmation is not None
        return result.reason

    answers = in_threads([partial(confirm, index) for index in range(20)])
    assert sorted(answers, key=str) == sorted([Reason.CONFIRMED] + [other] * 19, key=str)
    assert (Confirmation.objects.count(), Delivery.objects.count()) == (1, 1)
    assert Event.objects.filter(type=EventType.CONFIRMATION).count() == 1
    assert world.p.__class__.objects.filter(name__startswith="of the host").count() == 20
