"""The public functions."""

from __future__ import annotations

import inspect
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.test import RequestFactory
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event
from livereferrals.tracking.middleware import attach
from livereferrals.tracking.models import Confirmation, Origin, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger
from tests.factories import make_hit, make_link, make_partner, make_subscription, make_user, make_visitor
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from django.http import HttpRequest
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
PAID = "Order paid"


@pytest.fixture(autouse=True)
def _shop(settings: Settings) -> None:
    """The shop's triggers, and one that is off."""
    off = Trigger(
        "off", signal="tests.shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent", enabled=False
    )
    settings.LIVEREFERRALS = {**django_settings.LIVEREFERRALS, "TRIGGERS": [*TRIGGERS, off]}


@pytest.fixture
def bob() -> SimpleNamespace:
    """Bob, his visitor, and its hit of a subscribed partner."""
    user, partner = make_user(username="bob"), make_partner()
    make_subscription(partner=partner)
    visitor = make_visitor(user=user)
    return SimpleNamespace(user=user, visitor=visitor, hit=make_hit(visitor=visitor, link=make_link(partner=partner)))


def request_of(visitor: Any, *, user: Any = None) -> HttpRequest:
    request = RequestFactory().get("/")
    attach(request).__dict__["visitor"] = visitor
    request.user = user or AnonymousUser()
    return request


def subject(kind: str, bob: SimpleNamespace) -> dict[str, Any]:
    return {
        "user": {"user": bob.user},
        "visitor": {"visitor": bob.visitor},
        "hit": {"hit": bob.hit},
        "request": {"request": request_of(bob.visitor, user=bob.user)},
        "request and user": {"request": request_of(bob.visitor), "user": bob.user},
    }[kind]


KINDS = ("user", "visitor", "hit", "request", "request and user")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_subject_is_confirmed(bob: SimpleNamespace, kind: str) -> None:
    """N-01: with the same rows whatever it is, marked as made by the API."""
    result = api.confirm(
        trigger=PAID, reference="A-1", amount="9.90", currency="EUR", extra={"a": 1}, **subject(kind, bob)
    )
    assert (result.created, result.hit) == (True, bob.hit)
    confirmation = Confirmation.objects.get()
    assert (confirmation.user, confirmation.visitor, confirmation.reference) == (bob.user, bob.visitor, "A-1")
    assert (confirmation.amount_micros, confirmation.extra, confirmation.origin) == (9_900_000, {"a": 1}, Origin.API)
    assert api.confirm(trigger=PAID, reference="A-1", **subject(kind, bob)).reason is Reason.DUPLICATE_REFERENCE


@pytest.mark.parametrize(
    "kinds", [(), ("user", "visitor"), ("visitor", "hit"), ("request", "visitor"), ("request", "hit")]
)
def test_not_exactly_one_subject_is_a_type_error(bob: SimpleNamespace, kinds: tuple[str, ...]) -> None:
    """N-01: one kind, or `request` with `user`."""
    given = {name: value for kind in kinds for name, value in subject(kind, bob).items()}
    for act in (api.confirm, api.attribute):
        with pytest.raises(TypeError, match="exactly one"):
            act(PAID, **given)


@pytest.mark.parametrize("given", [{"user": "bob"}, {"visitor": 7}, {"request": RequestFactory().get("/"), "user": 7}])
def test_a_subject_of_another_type_is_a_type_error(given: dict[str, Any]) -> None:
    """N-01: a name is not a user, a number not a visitor."""
    with pytest.raises(TypeError, match=r"User|Visitor"):
        api.confirm(PAID, **given)


def test_a_chosen_hit_skips_the_choice(bob: SimpleNamespace) -> None:
    """N-02: not the latest, and older than the window."""
    later = make_hit(visitor=bob.visitor, link=bob.hit.link)
    ReferralHit.objects.filter(pk=bob.hit.pk).update(created_at=timezone.now() - timedelta(days=400))
    assert api.attribute(PAID, user=bob.user).hit == later
    assert api.confirm(PAID, hit=bob.hit).hit == bob.hit


def test_a_chosen_hit_is_checked_all_the_same(bob: SimpleNamespace) -> None:
    """N-02: partner, subscription, self-referral and duplicates."""
    inactive = make_hit(link=make_link(partner=make_partner(active=False)))
    unsubscribed = make_hit(link=make_link(partner=make_partner()))
    own = make_hit(link=make_link(user=bob.user), visitor=bob.visitor)
    for hit, reason in (
        (inactive, Reason.PARTNER_INACTIVE),
        (unsubscribed, Reason.NOT_SUBSCRIBED),
        (own, Reason.SELF_REFERRAL),
    ):
        assert api.confirm(PAID, hit=hit).reason is reason
    assert api.confirm(PAID, hit=bob.hit).created
    assert api.confirm(PAID, hit=bob.hit).reason is Reason.ALREADY_CONFIRMED
    assert api.confirm(PAID, user=bob.user).reason is Reason.ALREADY_CONFIRMED


@pytest.mark.parametrize(("name", "reason"), [("nothing", Reason.UNKNOWN_TRIGGER), ("off", Reason.TRIGGER_DISABLED)])
def test_a_trigger_that_confirms_nothing_is_a_reason(bob: SimpleNamespace, name: str, reason: Reason) -> None:
    """N-01, S-31 no. 1 and 2: the same results as `complete_trigger`."""
    assert api.confirm(name, user=bob.user).reason is reason
    assert api.attribute(name, user=bob.user).reason is reason


@pytest.mark.parametrize("reference", ["", None], ids=repr)
def test_an_empty_reference_is_none(bob: SimpleNamespace, reference: str | None) -> None:
    """N-03: so the person is confirmed once."""
    assert api.confirm(PAID, user=bob.user, reference=reference).created
    assert Confirmation.objects.get().reference is None
    assert api.confirm(PAID, user=bob.user, reference=reference).reason is Reason.ALREADY_CONFIRMED


def test_references_are_text_compared_exactly(bob: SimpleNamespace) -> None:
    """N-03: numbers and UUIDs as text; case and spaces count."""
    for reference in (7, bob.hit.pk, "a", "A", " a", "x" * 200):
        assert api.confirm(PAID, user=bob.user, reference=reference).created
    assert api.confirm(PAID, user=bob.user, reference="7").reason is Reason.DUPLICATE_REFERENCE
    assert api.confirm(PAID, user=bob.user, reference=str(bob.hit.pk)).reason is Reason.DUPLICATE_REFERENCE


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"amount": 1.5, "currency": "EUR"}, TypeError),
        ({"amount": True, "currency": "EUR"}, TypeError),
        ({"amount": "NaN", "currency": "EUR"}, ValueError),
        ({"amount": "Infinity", "currency": "EUR"}, ValueError),
        ({"amount": -1, "currency": "EUR"}, ValueError),
        ({"amount": 10**12, "currency": "EUR"}, ValueError),
        ({"amount": 1}, ValueError),
        ({"amount": 1, "currency": "ABC"}, ValueError),
        ({"reference": "x" * 201}, ValueError),
        ({"reference": ["a"]}, TypeError),
        ({"reference": "a\x00"}, ValueError),
        ({"reference": "\ud800"}, ValueError),
        ({"occurred_at": "2026-01-01"}, TypeError),
        ({"extra": "x" * 4095}, ValueError),
        ({"extra": {1, 2}}, TypeError),
        ({"extra": float("nan")}, ValueError),
    ],
    ids=str,
)
def test_what_cannot_be_stored_is_an_error(
    bob: SimpleNamespace, values: dict[str, Any], error: type[Exception]
) -> None:
    """N-03, N-05, N-06, N-07, N-16: in the API it raises, and writes nothing."""
    with pytest.raises(error):
        api.confirm(PAID, user=bob.user, **values)
    assert not Confirmation.objects.exists()


def test_asking_writes_nothing_and_answers_alike(bob: SimpleNamespace) -> None:
    """A-12, A-09: the same hit, reason and trace as confirming, no row, no event; it is false, for nothing stands."""
    at = timezone.now()
    asked = api.attribute(PAID, user=bob.user, reference="A-1", occurred_at=at)
    assert (asked.hit, asked.reason, bool(asked), asked.created) == (bob.hit, Reason.CONFIRMED, False, False)
    assert (Confirmation.objects.count(), Event.objects.count(), Delivery.objects.count()) == (0, 0, 0)
    assert api.confirm(PAID, user=bob.user, reference="A-1", occurred_at=at).trace == asked.trace
    again = api.attribute(PAID, user=bob.user, reference="A-1")
    assert (again.reason, again.confirmation) == (Reason.DUPLICATE_REFERENCE, Confirmation.objects.get())


def test_one_may_ask_for_another_time_rule_and_window(bob: SimpleNamespace) -> None:
    """A-12: `at=`, `rule=` and `window=`."""
    now = timezone.now()
    old = make_hit(visitor=bob.visitor, link=bob.hit.link, created_at=now - timedelta(days=100))
    assert api.attribute(PAID, user=bob.user, rule="first_click", window=None).hit == old
    assert api.attribute(PAID, user=bob.user, rule="first_click").hit == bob.hit
    asked = api.attribute(PAID, user=bob.user, at=now + timedelta(days=1), window=timedelta(hours=1))
    assert asked.reason is Reason.OUT_OF_WINDOW
    assert [each["verdict"] for each in asked.trace["hits"]] == ["out-of-window"] * 2


def test_a_rule_that_is_none_is_an_error(bob: SimpleNamespace) -> None:
    """A-12: not silently another one."""
    with pytest.raises(ValueError, match="last_click"):
        api.attribute(PAID, user=bob.user, rule="best")


def test_a_hit_is_recorded_without_http() -> None:
    """L-09: with its event, by a visitor of its own, marked as made by the API."""
    link = make_link()
    at = timezone.now() - timedelta(hours=1)
    hit = api.record_hit(link, occurred_at=at, entry_url="/x", click_id="c1", subs=["a", "b"])
    hit.refresh_from_db()
    assert (hit.link, hit.created_at, hit.entry_url, hit.click_id) == (link, at, "/x", "c1")
    assert (hit.subs[:2], hit.origin, Event.objects.get().data["hit"]) == (["a", "b"], Origin.API, str(hit.pk))
    assert api.record_hit(link, visitor=hit.visitor).visitor == hit.visitor


def test_many_are_confirmed_in_one_transaction(bob: SimpleNamespace) -> None:
    """S-56: rows that were written without signals; a "no" is a result, and an error undoes all of them."""
    rows: list[dict[str, Any]] = [{"user": bob.user, "reference": number} for number in (1, 2, 2)]
    results = api.confirm_many(PAID, (row for row in rows))
    assert [result.reason for result in results] == [
        Reason.CONFIRMED,
        Reason.CONFIRMED,
        Reason.DUPLICATE_REFERENCE,
    ]
    with pytest.raises(TypeError):
        api.confirm_many(
            PAID, [{"user": bob.user, "reference": 3}, {"user": bob.user, "amount": 1.5, "currency": "EUR"}]
        )
    assert Confirmation.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_twin_of_many_does_the_same(bob: SimpleNamespace) -> None:
    """S-56, N-18: on the event loop."""
    results = async_to_sync(api.aconfirm_many)(PAID, [{"user": bob.user, "reference": "A-1"}])
    assert [result.created for result in results] == [True]


# --- the twins ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["record_hit", "confirm", "confirm_many", "reverse", "attribute"])
def test_a_twin_has_the_signature_of_its_sibling(name: str) -> None:
    """N-18: `a...`, with the same parameters and result."""
    plain, twin = getattr(api, name), getattr(api, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(plain)
    assert twin.__doc__ == f"Async form of `{name}`."
    assert {name, f"a{name}"} <= set(api.__all__)


@pytest.mark.django_db(transaction=True)
def test_the_twins_do_the_same_on_the_event_loop(bob: SimpleNamespace) -> None:
    """N-18: each passes on all that it is given, and awaits."""
    at = timezone.now() - timedelta(minutes=5)

    async def run() -> tuple[ReferralHit, api.Result, api.Result]:
        hit = await api.arecord_hit(bob.hit.link, visitor=bob.visitor, user=bob.user, occurred_at=at, click_id="c")
        values: dict[str, Any] = {"user": bob.user, "reference": "A-1", "amount": 1, "currency": "EUR"}
        asked = await api.aattribute(PAID, **values, rule="first_click")
        return hit, asked, await api.aconfirm(PAID, **values, extra=[1])

    hit, asked, result = async_to_sync(run)()
    assert (hit.click_id, hit.created_at, hit.user) == ("c", at, bob.user)
    assert (asked.hit, result.hit) == (hit, bob.hit)
    found = Confirmation.objects.get()
    assert (found.reference, found.amount_micros, found.extra) == ("A-1", 1_000_000, [1])


@pytest.mark.django_db(transaction=True)
def test_a_twin_joins_the_callers_transaction(bob: SimpleNamespace) -> None:
    """N-18: called inside one through `sync_to_async`, it is rolled back with it."""

    def caller() -> bool:
        with transaction.atomic():
            created = async_to_sync(api.aconfirm)(PAID, user=bob.user).created
            transaction.set_rollback(True)
        return created

    assert async_to_sync(sync_to_async(caller))()
    assert not Confirmation.objects.exists()
