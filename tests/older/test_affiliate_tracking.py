"""A project that was set up by the documentation of django-affiliate-tracking 0.12, and what it changed to move here.

The tests follow that documentation from top to bottom. The settings keep their old names; only what the migration table
says is changed: the app, the middleware, where `complete_trigger` is imported from, and `VISITOR_CARRIER="session"` to
stay without a cookie.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.db import IntegrityError, transaction
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.http import HttpResponse, JsonResponse
from django.test import Client
from django.urls import path

from livereferrals import api
from livereferrals.callbacks.models import Delivery, DeliveryState, Subscription
from livereferrals.exceptions import InvalidCallBackURL
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, Visitor
from livereferrals.triggers import complete_trigger
from tests.callbacks.running import LOOPBACK, running_worker, wait_for_state
from tests.factories import make_user
from tests.shop.models import Order
from tests.urls import urlpatterns as shop_urls

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from pytest_django import Settings

    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db
User = get_user_model()
REGISTERED = "User registered"
FRIDAYS = "Friday order by somebody from 25 to 50"
NEW = {"username": "carl", "password1": "xk3-Plum-Harbour", "password2": "xk3-Plum-Harbour"}


# --- the project, as it was ---------------------------------------------------------------------------------------------------


weekly_order = Signal()


def on_fridays(sender: Any, affiliate_trigger_name: str, **kwargs: Any) -> None:
    """A custom trigger as the documentation suggests: its own condition around `complete_trigger`."""
    if kwargs["day"].weekday() == 4 and 25 <= kwargs["age"] <= 50:
        complete_trigger(kwargs.get("request"), affiliate_trigger_name)


def visitor_page(request: HttpRequest) -> JsonResponse:
    """Show what the older middleware put on the request and into the session."""
    visitor = request.affiliate_visitor  # type: ignore[attr-defined] # the old name
    kept = request.session.get("affiliate_visitor_id") or request.session.get("my_visitor")
    return JsonResponse({"visitor": str(visitor.pk) if visitor else None, "kept": str(kept) if kept else None})


def some_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.method)


urlpatterns = [*shop_urls, path("visitor/", visitor_page), path("some/page", some_page)]


@pytest.fixture(autouse=True)
def _project(settings: Settings) -> None:
    """The documented settings under their old names."""
    settings.ROOT_URLCONF = __name__
    settings.AFFILIATE_TRIGGERS = [
        (
            REGISTERED,
            "django.db.models.signals.post_save",
            "affiliations.triggers.object_created",
            "django.contrib.auth.models.User",
        ),
        ("Order saved", "django.db.models.signals.post_save", "affiliations.triggers.object_saved", Order),
        (FRIDAYS, f"{__name__}.weekly_order", f"{__name__}.on_fridays", None),
    ]
    settings.LIVEREFERRALS = {
        "VISITOR_CARRIER": "session",
        "TRIGGER_ERRORS": "raise",
        "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK},
    }


@pytest.fixture
def partner() -> Partner:
    """The documentation's partner."""
    return Partner.objects.create(uid="moox6esi", name="Your partner", active=True)


@pytest.fixture
def subscribe(partner: Partner) -> Callable[..., Subscription]:
    """Subscribe the partner, called by GET as imported subscriptions are."""

    def make(trigger: str, url: str = "https://www.yourpartner.com/track/?visitor_id={visitor_id}") -> Subscription:
        return Subscription.objects.create(
            partner=partner, trigger=trigger, callback_url=url, method="GET", allow_plain_http=url.startswith("http:")
        )

    return make


def land(client: Client, url: str = "/?affiliate_id=moox6esi") -> ReferralHit:
    """Come to the site by the partner's link."""
    assert client.get(url).status_code == 302
    return ReferralHit.objects.latest("id")


# --- Installation ---------------------------------------------------------------------------------------------------------------


def test_the_project_starts_and_the_checks_find_no_fault() -> None:
    """S-02, S-03: the app and the one middleware in place of two; the old package is not there."""
    found = [message for message in run_checks(tags=["livereferrals"]) if str(message.id).startswith("livereferrals.")]
    assert [message.id for message in found] == ["livereferrals.W012"]  # the loopback network of these tests


# --- Settings ---------------------------------------------------------------------------------------------------------------------


def test_the_defaults_of_both_names_are_the_same() -> None:
    """P-33, V-07: `affiliate_id` in the query, `affiliate_visitor_id` in the session."""
    client = Client()
    Partner.objects.create(uid="moox6esi", name="P", active=True)
    hit = land(client)
    assert "affiliate_visitor_id" in client.session
    assert client.get("/visitor/").json()["visitor"] == str(hit.visitor_id)
    assert "livereferrals_visitor" not in client.cookies


def test_both_names_may_be_others(settings: Settings, partner: Partner) -> None:
    """P-33: `AFFILIATE_QUERY_STRING_KEY` and `AFFILIATE_SESSION_KEY`."""
    settings.AFFILIATE_QUERY_STRING_KEY = "campaign"
    settings.AFFILIATE_SESSION_KEY = "my_visitor"
    client = Client()
    hit = land(client, "/?campaign=moox6esi")
    assert client.get("/visitor/").json()["visitor"] == str(hit.visitor_id)
    assert "my_visitor" in client.session
    assert client.get("/some/page?affiliate_id=moox6esi").status_code == 200


def test_a_project_without_triggers_starts(settings: Settings) -> None:
    """X-48, S-08: they were mandatory."""
    del settings.AFFILIATE_TRIGGERS
    assert User.objects.create_user("ann").pk


# --- Models -----------------------------------------------------------------------------------------------------------------------


def test_a_partner_has_a_uid_a_name_and_is_inactive_at_first() -> None:
    """D-02, X-55: eight random alphanumerics, also for rows made in bulk."""
    one = Partner.objects.create(name="A")
    two, three = Partner.objects.bulk_create([Partner(name="B"), Partner(name="C")])
    assert all(re.fullmatch(r"[A-Za-z0-9]{8}", each.uid) for each in (one, two, three))
    assert len({one.uid, two.uid, three.uid}) == 3
    assert (one.active, str(one)) == (False, "A")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("/?affiliate_id=moox6esi", "/"),
        ("/some/page?page_id=9&affiliate_id=moox6esi&other=3", "/some/page?page_id=9&other=3"),
        ("/some/page?a=1&a=2&b=&affiliate_id=moox6esi", "/some/page?a=1&a=2&b="),
    ],
    ids=["alone", "among others", "repeated and blank"],
)
def test_a_referral_is_registered_and_taken_off_the_url(partner: Partner, url: str, clean: str) -> None:
    """P-21, X-30, X-34, X-36: an anonymous visitor, the entry point, and one redirect to the rest of the URL as it was."""
    client = Client()
    response = client.get(url)
    assert (response.status_code, response["Location"]) == (302, clean)
    hit = ReferralHit.objects.get()
    assert (hit.link.partner, hit.user, urlsplit(hit.entry_url).path) == (partner, None, urlsplit(clean).path)
    assert client.get("/visitor/").json()["visitor"] == str(hit.visitor_id)


@pytest.mark.parametrize("uid", ["nobody12", "inactive", ""])
def test_who_is_no_active_partner_is_taken_off_the_url_too(uid: str) -> None:
    """X-32, P-11: nothing is registered."""
    Partner.objects.create(uid="inactive", name="P", active=False)
    response = Client().get(f"/some/page?affiliate_id={uid}&other=3")
    assert (response.status_code, response["Location"]) == (302, "/some/page?other=3")
    assert not ReferralHit.objects.exists()


def test_only_get_is_redirected(partner: Partner) -> None:
    """P-20: a POST passes to the view."""
    response = Client().post("/some/page?affiliate_id=moox6esi")
    assert (response.status_code, response.content) == (200, b"POST")


def test_a_word_in_the_path_is_no_parameter(partner: Partner) -> None:
    """X-31: it was searched anywhere in the URL."""
    assert Client().get("/some/page?q=affiliate_id").status_code == 200


def test_a_second_request_of_a_referred_visitor_works(partner: Partner) -> None:
    """X-33: one type in the session was written and another one read."""
    client = Client()
    land(client)
    assert [client.get("/visitor/").status_code for _ in range(2)] == [200, 200]
    assert client.get("/visitor/").json()["visitor"] == str(Visitor.objects.get().pk)


def test_a_visitor_that_has_gone_is_forgotten(partner: Partner) -> None:
    """V-08: a broken value in the session is nobody's."""
    client = Client()
    land(client)
    ReferralHit.objects.all().delete()
    Visitor.objects.all().delete()
    assert client.get("/visitor/").json()["visitor"] is None


def test_a_callback_url_is_checked_when_it_is_saved(subscribe: Callable[..., Subscription]) -> None:
    """X-46, X-47, D-13: attribute access and unknown names raise the old exception; no placeholder at all is no mistake."""
    url = "https://www.yourpartner.com/track/?campaign_id=123&visitor_id="
    for bad in ("{visitor_id.__class__}", "{0}", "{unknown}", "{"):
        with pytest.raises(InvalidCallBackURL):
            subscribe(REGISTERED, url + bad)
    assert str(subscribe(REGISTERED, url + "{visitor_id}")) == "Your partner: User registered"
    assert subscribe("Order saved", "https://www.yourpartner.com/" + "x" * 300).pk


# --- Triggers ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_somebody_who_registers_is_told_to_the_partner(
    subscribe: Callable[..., Subscription], sink: PartnerSink
) -> None:
    """S-34, X-40, X-41: the documented example, with the callback sent after the request by GET, filled in."""
    subscribe(REGISTERED, f"{sink.url()}?campaign_id=123&visitor_id={{visitor_id}}")
    client = Client()
    hit = land(client)
    assert client.post("/signup/", NEW).status_code == 302
    assert sink.calls == []
    confirmation = Confirmation.objects.get()
    assert (confirmation.trigger, confirmation.user) == (REGISTERED, User.objects.get())
    with running_worker():
        wait_for_state(Delivery.objects.get(), DeliveryState.DELIVERED)
    (call,) = sink.calls
    assert call.method == "GET"
    assert call.query == {"campaign_id": ["123"], "visitor_id": [str(hit.visitor_id)]}


def test_each_trigger_of_a_request_is_completed(subscribe: Callable[..., Subscription]) -> None:
    """X-44, X-45: the first success took the visitor out of the session, and the second trigger failed."""
    subscribe(REGISTERED)
    subscribe("Order saved")
    client = Client()
    land(client)
    client.post("/signup/", NEW)
    client.post("/buy/", {"number": "A-1", "total": "12.50", "currency": "EUR"})
    assert sorted(Confirmation.objects.values_list("trigger", flat=True)) == ["Order saved", REGISTERED]
    assert client.get("/visitor/").json()["visitor"] is not None


def test_saving_often_is_told_once(subscribe: Callable[..., Subscription]) -> None:
    """X-43, S-40: `object_saved` called the partner for each save in a request."""
    subscribe("Order saved")
    client = Client()
    land(client)
    client.post("/signup/", NEW)
    for number in ("A-1", "A-2"):
        client.post("/buy/", {"number": number, "total": "12.50", "currency": "EUR"})
    assert (Confirmation.objects.count(), Delivery.objects.count()) == (1, 1)


def test_saving_without_a_visitor_or_a_request_is_no_error(subscribe: Callable[..., Subscription]) -> None:
    """X-37, X-38, X-39: somebody never referred, a shell, a task; an anonymous user stands in no row."""
    subscribe("Order saved")
    Order.objects.create(number="shell")
    client = Client()
    client.post("/signup/", NEW)
    assert client.post("/buy/", {"number": "A-1", "total": "1", "currency": "EUR"}).status_code == 201
    assert not Confirmation.objects.exists()


def test_fixtures_complete_nothing(subscribe: Callable[..., Subscription]) -> None:
    """X-51, S-20: rows that are loaded, not made."""
    subscribe(REGISTERED)
    user = User(username="loaded")
    results = post_save.send(User, instance=user, created=True, raw=True, using="default", update_fields=None)
    assert all(not answer for _, answer in results)


@pytest.mark.parametrize("missing", ["active partner", "subscription"])
def test_who_has_no_agreement_gets_nothing(
    partner: Partner, subscribe: Callable[..., Subscription], missing: str
) -> None:
    """S-31 no. 12 and 13: `complete_trigger` looks itself, as before."""
    client = Client()
    land(client)
    if missing == "active partner":
        subscribe(REGISTERED)
        Partner.objects.update(active=False)
    client.post("/signup/", NEW)
    assert User.objects.filter(username="carl").exists()
    assert not Confirmation.objects.exists()


@pytest.mark.parametrize(
    ("day", "age", "completed"),
    [(date(2026, 11, 20), 30, True), (date(2026, 11, 21), 30, False), (date(2026, 11, 20), 51, False)],
    ids=["a Friday", "a Saturday", "too old"],
)
def test_a_custom_trigger_has_its_own_condition(
    subscribe: Callable[..., Subscription], day: date, age: int, completed: bool
) -> None:
    """S-21: the receiver stays as it was written, but for its import."""
    subscribe(FRIDAYS)
    client = Client()
    hit = land(client)
    request = client.get("/visitor/").wsgi_request
    weekly_order.send("shop", day=day, age=age, request=request)
    assert Confirmation.objects.filter(hit=hit, trigger=FRIDAYS).exists() is completed


def test_a_success_noted_by_hand_is_a_confirmation(partner: Partner, subscribe: Callable[..., Subscription]) -> None:
    """X-23: `visitor.succeed(user)` becomes `api.confirm`: a second time changes nothing."""
    subscribe("Order saved")
    hit, user = land(Client()), make_user()
    assert hit.visitor is not None
    first = api.confirm("Order saved", visitor=hit.visitor)
    again = api.confirm("Order saved", visitor=hit.visitor)
    assert (first.created, again.created, again.confirmation) == (True, False, first.confirmation)
    hit.refresh_from_db()
    assert hit.confirmed_at is not None
    assert user.referral_visitors.count() == 0


def test_what_partners_had_stays_when_a_user_goes(partner: Partner, subscribe: Callable[..., Subscription]) -> None:
    """X-56, X-58, N-16: visitors and successes were deleted with their user; and their numbers were consecutive."""
    subscribe(REGISTERED)
    client = Client()
    land(client)
    client.post("/signup/", NEW)
    User.objects.get(username="carl").delete()
    confirmation = Confirmation.objects.get()
    assert (confirmation.user, confirmation.hit.user, Visitor.objects.get().user) == (None, None, None)
    assert confirmation.pk.version == Visitor.objects.get().pk.version == 7


def test_a_second_partner_does_not_hide_the_first(partner: Partner, subscribe: Callable[..., Subscription]) -> None:
    """X-57, A-01, A-02: the landing before is not forgotten; who is subscribed is credited."""
    subscribe(REGISTERED)
    Partner.objects.create(uid="zk41pp0q", name="Q", active=True)
    client = Client()
    first = land(client)
    land(client, "/?affiliate_id=zk41pp0q")
    client.post("/signup/", NEW)
    assert Confirmation.objects.get().hit == first


def test_a_partner_has_one_subscription_to_a_trigger(subscribe: Callable[..., Subscription]) -> None:
    """X-53, D-14: one of two was picked by chance."""
    subscribe(REGISTERED)
    with transaction.atomic(), pytest.raises(IntegrityError):
        subscribe(REGISTERED)
