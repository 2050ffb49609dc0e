"""Triggers that fire: by the shop's own pages, by saves, and by signals."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.core import serializers
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_delete, pre_save
from django.test import RequestFactory

from livereferrals.events.models import Event, EventType
from livereferrals.tracking.current import answering, current_request
from livereferrals.tracking.middleware import attach
from livereferrals.tracking.models import Confirmation, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger, complete_trigger
from tests.factories import make_hit, make_link, make_order, make_partner, make_staff, make_user, make_visitor
from tests.shop.models import Order
from tests.shop.signals import order_paid
from tests.tracking.browsers import KINDS, Browser, Statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from django.http import HttpRequest

    from tests.triggers.conftest import Declare

POST_SAVE = "django.db.models.signals.post_save"
OURS = "livereferrals.triggers."
SIGNAL: dict[str, Any] = {"signal": order_paid, "receiver": f"{OURS}signal_sent"}
NEW = {"username": "carl", "password1": "xk3-Plum-Harbour", "password2": "xk3-Plum-Harbour"}

pytestmark = pytest.mark.django_db


@pytest.fixture(params=KINDS)
def browser(request: pytest.FixtureRequest, world: SimpleNamespace) -> Browser:
    """A browser that has followed `abc123`, on each way into the host."""
    found = Browser(request.param)
    assert found.get("/ref/abc123").status_code == 302
    return found


def answers(responses: list[tuple[Callable[..., Any], Any]]) -> list[Any]:
    """What the connected receivers gave back."""
    return [answer for _, answer in responses]


def reason(sender: Any = Order, **arguments: Any) -> Reason:
    """Send the shop's signal and return what the one trigger on it decided."""
    (result,) = answers(order_paid.send(sender, **arguments))
    found: Reason = result.reason
    return found


# --- the story ------------------------------------------------------------------------------------------------------------------


def test_sign_up_through_a_link_is_credited_once(shop: None, browser: Browser) -> None:
    """C-07, S-34, S-23: `save()`, then `login()`, in one request: credited while anonymous, with the new user, and claimed."""
    assert browser.post("/signup/", data=NEW).status_code == 302
    user, confirmation = User.objects.get(username="carl"), Confirmation.objects.get()
    assert (confirmation.trigger, confirmation.user) == ("User registered", user)
    assert Event.objects.get(type=EventType.CONFIRMATION).partner == "moox6esi"
    assert confirmation.trace["subject"]["how"] == "instance"
    assert set(ReferralHit.objects.values_list("user", flat=True)) == {user.pk}


def test_buying_is_credited_with_amount_and_reference(shop: None, browser: Browser) -> None:
    """S-23, S-41: in sync and async views, the order's customer is found by the trigger's `user`; the sign-up counts too."""
    browser.post("/signup/", data=NEW)
    for path, number in (("/buy/", "A-1"), ("/async-buy/", "A-2")):
        data = {"number": number, "total": "12.50", "currency": "EUR"}
        assert browser.post(path, data=data).status_code == 201
    paid = Confirmation.objects.filter(trigger="Order paid").order_by("reference")
    assert [(each.reference, each.amount_micros, each.currency) for each in paid] == [
        ("A-1", 12_500_000, "EUR"),
        ("A-2", 12_500_000, "EUR"),
    ]
    assert {each.trace["subject"]["how"] for each in paid} == {"mapping"}


def test_a_page_that_rolls_back_confirms_nothing(shop: None, browser: Browser) -> None:
    """S-50: the shop takes the order back after its signal."""
    browser.post("/signup/", data=NEW)
    data = {"number": "A-1", "total": "1", "currency": "EUR", "fail": "on"}
    assert browser.post("/buy/", data=data).status_code == 402
    assert not Confirmation.objects.filter(trigger="Order paid").exists()
    assert not Event.objects.filter(type=EventType.CONFIRMATION, data__trigger="Order paid").exists()


def test_login_before_the_signal_is_credited_too(declare: Declare, browser: Browser) -> None:
    """C-07: `login()` first, the signal afterwards in the same request: the claimed hits are found, once."""
    declare(("Order paid", "django.contrib.auth.signals.user_logged_in", f"{OURS}signal_sent", None))
    user = make_user(username="dora")
    browser.log_in(user)
    assert Confirmation.objects.get().user == user
    browser.log_out()
    browser.log_in(user)
    assert Confirmation.objects.count() == 1


def test_a_shared_computer_leaks_nothing(shop: None, browser: Browser, world: SimpleNamespace) -> None:
    """S-33, C-04: Ann's claimed visitor is not Bob's, nor a guest's."""
    browser.log_in(world.ann)
    browser.log_out()
    browser.log_in(world.bob)
    browser.post("/buy/", data={"number": "A-1", "total": "1", "currency": "EUR"})
    browser.log_out()
    browser.post("/signup/", data=NEW)
    assert not Confirmation.objects.exists()


def test_staff_who_make_users_credit_nobody(shop: None, browser: Browser) -> None:
    """S-33: whether the browser's visitor is staff's already or still nobody's."""
    staff = make_staff()
    browser.log_in(staff)
    data = NEW | {"usable_password": "true", "_save": "Save"}
    assert browser.post("/admin/auth/user/add/", data=data).status_code == 302
    assert User.objects.filter(username="carl").exists()
    assert not Confirmation.objects.exists()


# --- the request ------------------------------------------------------------------------------------------------------------------


def request_of(visitor: Any = None, *, user: Any = None) -> HttpRequest:
    """A request as the middleware leaves it, of this visitor and user."""
    request = RequestFactory().get("/")
    attach(request).__dict__["visitor"] = visitor
    if user is not None:
        request.user = user
    return request


def test_somebody_elses_session_does_not_lend_its_browser(shop: None, world: SimpleNamespace) -> None:
    """S-33: staff whose own visitor is still nobody's saves a user: that visitor's hits are not the new user's."""
    hit = make_hit(link=world.abc123)
    with answering(request_of(hit.visitor, user=make_staff())):
        make_user()
    assert not Confirmation.objects.exists()
    with answering(request_of(hit.visitor)):
        make_user()
    assert Confirmation.objects.get().hit == hit


def test_the_subject_is_the_first_that_is_known(declare: Declare, world: SimpleNamespace) -> None:
    """S-32: given, mapped, the instance itself, the request's user, the request's visitor."""
    declare(Trigger("paid", sender="shop.Order", user="customer", once=False, **SIGNAL), TRIGGER_ERRORS="raise")
    bob, visitor = world.bob, make_hit(link=world.house1).visitor
    make_hit(link=world.house1, visitor=make_visitor(user=bob))
    order, guest = make_order(customer=bob), make_order()
    with answering(request_of(visitor, user=world.ann)):
        order_paid.send(Order, order=order)
        complete_trigger(None, "paid", user=bob)
    with answering(request_of(user=bob)):
        order_paid.send(Order, order=guest)
    with answering(request_of(visitor)):
        order_paid.send(Order, order=guest)
        complete_trigger(None, "paid", visitor=visitor)
    found = [each.trace["subject"] for each in Confirmation.objects.order_by("id")]
    assert [(each["how"], each["user"]) for each in found] == [
        ("mapping", str(bob.pk)),
        ("user", str(bob.pk)),
        ("request-user", str(bob.pk)),
        ("request-visitor", None),
        ("visitor", None),
    ]


def test_a_request_can_be_passed_by_hand(shop: None, world: SimpleNamespace) -> None:
    """S-24, S-30: it goes before the current one, and a signal that sends its request passes it."""
    hit = make_hit(link=world.abc123)
    with answering(request_of(make_visitor())):
        assert complete_trigger(request_of(hit.visitor), "Order paid", reference="A-1").hit == hit
        assert reason(order=make_order(), request=request_of(hit.visitor)) is Reason.CONFIRMED


def test_a_request_without_our_middleware_has_no_visitor(shop: None, world: SimpleNamespace) -> None:
    """S-31 no. 6, V-17: a bare request is no error."""
    assert complete_trigger(RequestFactory().get("/"), "Order paid").reason is Reason.NO_SUBJECT


def test_outside_a_request_the_users_claimed_hits_count(shop: None, world: SimpleNamespace) -> None:
    """S-35: a task or a payment webhook, whose own browser is nobody's."""
    make_hit(link=world.abc123, visitor=make_visitor(user=world.bob))
    with answering(request_of()):
        result = complete_trigger(None, "Order paid", user=world.bob, reference="A-1", amount="9.90", currency="EUR")
    assert result.created


def test_a_guests_order_is_credited_by_its_token(shop: None, world: SimpleNamespace) -> None:
    """S-36: the token of the visit, when the browser is long gone; the visitor's row does as well."""
    browser = Browser("wsgi")
    response = browser.get("/ref/abc123")
    assert response.status_code == 302
    token = browser.get("/whoami/").wsgi_request.referral.token()
    assert current_request() is None
    assert complete_trigger(None, "Order paid", visitor=token, reference="A-1").created
    visitor = ReferralHit.objects.get().visitor
    assert complete_trigger(None, "Order paid", visitor=visitor, reference="A-2").created


def test_a_claimed_visitor_given_by_hand_is_its_user(shop: None, world: SimpleNamespace) -> None:
    """S-36, C-03: claimed since, on another device."""
    visitor = make_visitor(user=world.bob)
    hit = make_hit(link=world.abc123, visitor=make_visitor(user=world.bob))
    result = complete_trigger(None, "Order paid", visitor=visitor)
    assert result.hit == hit
    assert result.confirmation is not None
    assert result.confirmation.user == world.bob


def test_a_guest_in_somebody_elses_browser_is_nobody(shop: None, world: SimpleNamespace) -> None:
    """S-33, C-04: logged out, with a visitor that Ann has claimed."""
    visitor = make_visitor(user=world.ann)
    make_hit(link=world.abc123, visitor=visitor)
    with answering(request_of(visitor)):
        assert complete_trigger(None, "Order paid", reference="A-1").reason is Reason.NO_SUBJECT
        assert reason(order=make_order()) is Reason.NO_SUBJECT


@pytest.mark.django_db(transaction=True)
def test_two_hundred_requests_at_once_never_see_one_another(shop: None, world: SimpleNamespace) -> None:
    """S-23: the current request is each task's own, also in code called through `sync_to_async`."""

    async def answer(number: int) -> bool:
        request = RequestFactory().get(f"/{number}")
        with answering(request):
            await asyncio.sleep(0)
            seen = await sync_to_async(current_request)()
            await asyncio.sleep(0)
            return seen is request and current_request() is request

    async def answer_all() -> list[bool]:
        return await asyncio.gather(*(answer(number) for number in range(200)))

    assert all(async_to_sync(answer_all)())
    assert current_request() is None


# --- when a receiver acts ------------------------------------------------------------------------------------------------------------


def test_created_acts_once_and_saved_each_time(declare: Declare, world: SimpleNamespace) -> None:
    """S-20: `object_created` for a new row alone, `object_saved` for each save."""
    declare(
        ("created", POST_SAVE, f"{OURS}object_created", "shop.Order"),
        Trigger("saved", signal=POST_SAVE, receiver=f"{OURS}object_saved", sender="shop.Order", once=False),
        TRIGGER_ERRORS="raise",
    )
    with answering(request_of(make_hit(link=world.house1).visitor)):
        make_order().save()
    assert sorted(Confirmation.objects.values_list("trigger", flat=True)) == ["created", "saved", "saved"]


def test_fixtures_confirm_nothing(declare: Declare, world: SimpleNamespace) -> None:
    """S-20, X-51: `raw=True`."""
    declare(*((name, POST_SAVE, f"{OURS}{name}", "shop.Order") for name in ("object_created", "object_saved")))
    text = serializers.serialize("json", [make_order()])
    Order.objects.all().delete()
    with answering(request_of(make_hit(link=world.house1).visitor)):
        for row in serializers.deserialize("json", text):
            row.save()
    assert Order.objects.exists()
    assert not Confirmation.objects.exists()


@pytest.mark.parametrize("signal", [pre_save, post_delete], ids=["pre_save", "post_delete"])
def test_signals_without_created_work(declare: Declare, world: SimpleNamespace, signal: Any) -> None:
    """S-20, S-57: each time that the signal is sent; an instance without primary key is no error."""
    declare(("T", signal, f"{OURS}signal_sent", "shop.Order"), TRIGGER_ERRORS="raise")
    with answering(request_of(make_hit(link=world.house1).visitor)):
        order = make_order()
        if signal is post_delete:
            order.delete()
    assert Confirmation.objects.count() == 1


@pytest.mark.parametrize("sent", [{"order": None}, {"instance": None}, {"order": None, "also": 1}], ids=str)
def test_the_instance_may_be_sent_under_any_name(shop: None, world: SimpleNamespace, sent: dict[str, Any]) -> None:
    """S-12: as `instance`, or as the one argument that is an instance of the sender."""
    make_hit(link=world.abc123, visitor=make_visitor(user=world.bob))
    order = make_order(customer=world.bob, number="A-7")
    assert reason(**{name: value or order for name, value in sent.items()}) is Reason.CONFIRMED
    assert Confirmation.objects.get().reference == "A-7"


@pytest.mark.parametrize(
    ("values", "reference", "currency"),
    [
        ({"reference": "order.number", "currency": "EUR"}, "A-7", "EUR"),
        ({"reference": "kwargs.number", "currency": "kwargs.extra.currency"}, "sent", "CHF"),
        ({"reference": lambda order: order.number * 2, "currency": lambda order: order.currency}, "A-7A-7", "EUR"),
        ({"reference": "order.customer.email", "currency": "currency"}, None, "EUR"),
    ],
    ids=["argument", "kwargs", "functions", "nothing on the way"],
)
def test_values_come_from_paths_functions_and_constants(
    declare: Declare, world: SimpleNamespace, values: dict[str, Any], reference: str | None, currency: str
) -> None:
    """S-12: what each form reads."""
    declare(Trigger("paid", sender="shop.Order", amount="total", **values, **SIGNAL), TRIGGER_ERRORS="raise")
    with answering(request_of(make_hit(link=world.house1).visitor)):
        order_paid.send(Order, order=make_order(number="A-7"), number="sent", extra={"currency": "CHF"})
    found = Confirmation.objects.get()
    assert (found.reference, found.currency) == (reference, currency)


def test_a_signal_without_instance_gives_its_arguments(declare: Declare, world: SimpleNamespace) -> None:
    """S-12: a function gets the dict of arguments; nothing of Django's own is in it."""
    declare(Trigger("paid", reference=lambda sent: ",".join(sorted(sent)), **SIGNAL), TRIGGER_ERRORS="raise")
    with answering(request_of(make_hit(link=world.house1).visitor)):
        order_paid.send("anybody", number=7, total=1)
    assert Confirmation.objects.get().reference == "number,total"


@pytest.mark.parametrize(
    "values",
    [{"user": "custmer"}, {"reference": "kwargs.number"}, {"amount": "customer.wallet"}, {"user": "number"}],
    ids=str,
)
def test_a_missing_attribute_is_a_reason(
    declare: Declare, world: SimpleNamespace, caplog: pytest.LogCaptureFixture, values: dict[str, Any]
) -> None:
    """S-12: `bad-mapping`, logged, and no exception in the host; a user that is none is one too."""
    declare(Trigger("paid", **values, **SIGNAL), TRIGGER_ERRORS="raise")
    assert reason(order=make_order(customer=world.bob)) is Reason.BAD_MAPPING
    assert "paid" in caplog.text


def test_a_condition_decides(declare: Declare, world: SimpleNamespace) -> None:
    """S-13: false gives `condition`."""
    declare(Trigger("paid", condition=lambda order: order.paid, **SIGNAL), TRIGGER_ERRORS="raise")
    with answering(request_of(make_hit(link=world.house1).visitor)):
        assert reason(order=make_order(paid=False)) is Reason.CONDITION
        assert reason(order=make_order(paid=True)) is Reason.CONFIRMED


def test_a_disabled_trigger_looks_at_nothing(declare: Declare) -> None:
    """S-31 no. 2: not even at its values."""
    declare(Trigger("paid", enabled=False, user="nothing", **SIGNAL), TRIGGER_ERRORS="raise")
    assert reason(order=1) is Reason.TRIGGER_DISABLED


def test_where_nobody_is_known_there_is_no_query(shop: None) -> None:
    """S-27: no request, no user: nothing is asked of the database, also inside a transaction of the host."""
    order = make_order()
    with Statements() as statements:
        assert reason(order=order, request=RequestFactory().get("/")) is Reason.NO_SUBJECT
    assert statements.made == []


# --- receivers of the host's own ------------------------------------------------------------------------------------------------------

calls: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _uncalled() -> None:
    calls.clear()


def own_receiver(sender: Any, affiliate_trigger_name: str, trigger: Trigger, **kwargs: Any) -> Any:
    """What a host writes."""
    calls.append({"sender": sender, "name": affiliate_trigger_name, "trigger": trigger, **kwargs})
    return complete_trigger(None, affiliate_trigger_name)


def old_receiver(sender: Any, instance: Any, created: bool, affiliate_trigger_name: str, **kwargs: Any) -> None:
    """What a host wrote for the older package."""
    complete_trigger(kwargs.get("request"), affiliate_trigger_name)


async def async_receiver(sender: Any, affiliate_trigger_name: str, **kwargs: Any) -> Any:
    return await sync_to_async(complete_trigger)(None, affiliate_trigger_name)


def test_a_custom_receiver_gets_the_trigger_and_the_arguments(declare: Declare, world: SimpleNamespace) -> None:
    """S-21: by `affiliate_trigger_name` and `trigger`; `complete_trigger(None, name)` works from it."""
    trigger = Trigger("own", signal=order_paid, receiver=own_receiver, sender="shop.Order")
    declare(trigger, TRIGGER_ERRORS="raise")
    order = make_order()
    with answering(request_of(make_hit(link=world.house1).visitor)):
        order_paid.send(Order, order=order)
    assert calls == [{"sender": Order, "name": "own", "trigger": trigger, "order": order, "signal": order_paid}]
    assert Confirmation.objects.get().trigger == "own"


def test_an_old_receiver_needs_no_change(declare: Declare, world: SimpleNamespace) -> None:
    """S-21: with the older package's signature."""
    declare(("old", POST_SAVE, f"{__name__}.old_receiver", "shop.Order"), TRIGGER_ERRORS="raise")
    with answering(request_of(make_hit(link=world.house1).visitor)):
        make_order()
    assert Confirmation.objects.get().trigger == "old"


@pytest.mark.django_db(transaction=True)
def test_an_async_receiver_works_with_send_and_asend(declare: Declare, world: SimpleNamespace) -> None:
    """S-22: `asend` in an async view, `send` in a sync one."""
    declare(Trigger("async", signal=order_paid, receiver=async_receiver, once=False), TRIGGER_ERRORS="raise")
    visitor = make_hit(link=world.house1).visitor
    with answering(request_of(visitor)):
        order_paid.send(Order)
        async_to_sync(order_paid.asend)(Order)
    assert Confirmation.objects.count() == 2


# --- errors -----------------------------------------------------------------------------------------------------------------------


def broken_receiver(sender: Any, **kwargs: Any) -> None:
    """Break the transaction too, as PostgreSQL would have it."""
    Group.objects.create(name="twice")
    Group.objects.create(name="twice")


async def broken_async_receiver(sender: Any, **kwargs: Any) -> None:
    raise ValueError("broken on purpose")


def broken_function(order: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM nowhere")


BROKEN: dict[str, dict[str, Any]] = {
    "receiver": {"receiver": broken_receiver},
    "condition": {"receiver": f"{OURS}signal_sent", "condition": broken_function},
    "function": {"receiver": f"{OURS}signal_sent", "reference": broken_function},
    "async receiver": {"receiver": broken_async_receiver},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_error_stays_away_from_the_host(
    declare: Declare, world: SimpleNamespace, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """S-26, S-13: the signal is sent to its end, the transaction goes on, and the log has name and traceback."""
    declare(Trigger("broken", signal=order_paid, **BROKEN[kind]), Trigger("works", **SIGNAL))
    with transaction.atomic(), answering(request_of(make_hit(link=world.house1).visitor)):
        results = answers(order_paid.send(Order, order=make_order()))
        make_order(number="after")
    assert sorted(str(each.reason) for each in results) == ["confirmed", "error"]
    assert Order.objects.filter(number="after").exists()
    assert not Group.objects.exists()
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert "broken" in record.getMessage()
    assert record.exc_info is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("sqlite" in django_settings.DATABASES["default"]["ENGINE"], reason="SQLite locks no single table")
def test_a_read_that_fails_leaves_the_transaction_usable(declare: Declare, world: SimpleNamespace) -> None:
    """S-26: our own receiver, without any code of the host's: the hits are locked by somebody else."""
    declare(Trigger("paid", **SIGNAL))
    visitor = make_hit(link=world.house1).visitor
    rival = connection.copy()
    rival.set_autocommit(False)
    try:
        with rival.cursor() as cursor:
            cursor.execute("LOCK TABLE livereferrals_referralhit IN ACCESS EXCLUSIVE MODE")
        with transaction.atomic(), answering(request_of(visitor)), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '50ms'")
            assert reason() is Reason.ERROR
            make_order(number="after")
    finally:
        rival.rollback()
        rival.close()
    assert Order.objects.filter(number="after").exists()


@pytest.mark.parametrize("kind", BROKEN)
def test_a_test_project_may_want_errors_to_come_through(declare: Declare, kind: str) -> None:
    """S-26: `TRIGGER_ERRORS="raise"`."""
    declare(Trigger("broken", signal=order_paid, **BROKEN[kind]), TRIGGER_ERRORS="raise")
    with pytest.raises((ValueError, DatabaseError), match=r"twice|UNIQUE|duplicate|nowhere|on purpose"):
        order_paid.send(Order, order=make_order())


def test_confirming_calls_nobody(shop: None, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-28, X-40: no socket is opened in the host's request, though the partner has a callback URL."""
    opened: list[Any] = []
    monkeypatch.setattr("socket.getaddrinfo", lambda *args, **kwargs: opened.append(args))
    partner = make_partner()
    partner.subscriptions.create(trigger="Order paid", callback_url="https://partner.example/x?id={confirmation_id}")
    make_hit(link=make_link(partner=partner), visitor=make_visitor(user=world.bob))
    assert reason(order=make_order(customer=world.bob)) is Reason.CONFIRMED
    assert Confirmation.objects.get().deliveries.get().attempts == 0
    assert opened == []
