"""A project that was set up by the documentation of django-hype 1.0, and what it changed to move here.

The tests follow that documentation from top to bottom. The settings keep their old names; only what the migration table
says is changed: the app, the middleware, the URL's name, the columns' names, and the signal in place of a sub-class.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path, re_path, reverse
from django.utils import timezone

from livereferrals import api
from livereferrals.signals import hit_recorded
from livereferrals.tracking.models import Confirmation, Origin, ReferralHit, ReferralLink
from livereferrals.triggers import Trigger
from tests.factories import PASSWORD, make_hit, make_user
from tests.urls import urlpatterns as shop_urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
User = get_user_model()
NEW = {"username": "carl", "password1": "xk3-Plum-Harbour", "password2": "xk3-Plum-Harbour"}
YEAR_S = 60 * 60 * 24 * 365


# --- the project, as it was ---------------------------------------------------------------------------------------------------


def some_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.get_full_path())


urlpatterns = [
    re_path(r"^ref/", include("livereferrals.urls")),
    *(each for each in shop_urls if str(getattr(each, "pattern", "")) != "ref/"),
    path("accounts/signup/", some_page),
]


@pytest.fixture(autouse=True)
def _project(settings: Settings) -> None:
    """The documented settings under their old names, with their old defaults."""
    settings.ROOT_URLCONF = __name__
    settings.DJANGO_REFERRALS_SETTINGS = {
        "COOKIE_KEY": "django-hype__rk",
        "COOKIE_HTTPONLY": True,
        "COOKIE_MAX_AGE": YEAR_S,
        "URL_PARAM": "ref",
    }
    settings.LIVEREFERRALS = {
        "CALLBACKS": {"WORKER": "off"},
        "TRIGGERS": [
            Trigger(
                "Registered",
                signal="django.db.models.signals.post_save",
                receiver="livereferrals.triggers.object_created",
                sender="auth.User",
            )
        ],
    }


@pytest.fixture
def ann() -> Any:
    """The user who shares a link."""
    return make_user(username="ann")


@pytest.fixture
def link(ann: Any) -> ReferralLink:
    """The documentation's link."""
    return ReferralLink.objects.create(identifier="abc123def", user=ann)


def cookie_of(client: Client) -> str | None:
    morsel = client.cookies.get("django-hype__rk")
    return morsel.value if morsel else None


# --- Setup and configuration --------------------------------------------------------------------------------------------------------


def test_the_project_starts_and_the_checks_find_no_fault() -> None:
    """P-33, O-08: the app, one middleware in place of two, and the regular expression that includes the URLs."""
    found = [message for message in run_checks(tags=["livereferrals"]) if str(message.id).startswith("livereferrals.")]
    assert found == []


# --- Concepts -------------------------------------------------------------------------------------------------------------------------


def test_a_link_is_shared_as_a_path_with_its_slash(link: ReferralLink) -> None:
    """X-18, L-05: the form of the guide, which the older package itself did not answer."""
    for number, shared in enumerate(("/ref/abc123def/", "/ref/abc123def"), start=1):
        response = Client().get(shared)
        assert (response.status_code, response["Location"]) == (302, "/")
        assert ReferralHit.objects.count() == number


def test_the_links_address_has_a_new_name(link: ReferralLink) -> None:
    """L-61: `hype_reflink` is `livereferrals:link`; `get_absolute_url` is where it was."""
    assert reverse("livereferrals:link", kwargs={"identifier": "abc123def"}) == link.get_absolute_url()
    assert link.get_absolute_url() == "/ref/abc123def"


def test_a_link_without_an_identifier_gets_one(ann: Any) -> None:
    """X-20, L-07: a blank one crashed the older package's admin."""
    made = ReferralLink.objects.create(user=ann)
    assert Client().get(made.get_absolute_url()).status_code == 302
    assert ReferralHit.objects.get().link == made


def test_a_hit_keeps_what_it_kept(link: ReferralLink) -> None:
    """L-09: under the names of the migration table."""
    client = Client()
    client.get("/ref/abc123def?next=/page/", headers={"user-agent": "Mozilla/5.0", "referer": "https://blog.example/"})
    hit = ReferralHit.objects.get()
    assert (hit.link, hit.user, hit.authenticated) == (link, None, False)
    assert (hit.user_agent, hit.referer, hit.entry_url, hit.ip) == (
        "Mozilla/5.0",
        "https://blog.example/",
        "/page/",
        "127.0.0.0",
    )
    assert timezone.now() - hit.created_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("next_", "location"),
    [
        ("/page/", "/page/"),
        ("foo", "/"),
        ("logout", "/"),
        ("http://testserver/page/", "http://testserver/page/"),
        ("//evil.example", "/"),
        ("/%00", "/"),
    ],
)
def test_next_is_followed_where_it_is_safe(link: ReferralLink, next_: str, location: str) -> None:
    """X-01, X-02, X-03, X-14: a hit each time, and never an error after it."""
    response = Client().get(f"/ref/abc123def?next={next_}")
    assert (response.status_code, response["Location"]) == (302, location)
    assert ReferralHit.objects.count() == 1


# --- The Anonymous Cookie -----------------------------------------------------------------------------------------------------------


def test_an_anonymous_follow_sets_the_cookie_under_its_old_name(link: ReferralLink) -> None:
    """P-33, X-07: with age and HttpOnly as set, with SameSite, and Secure on https."""
    client = Client()
    morsel = client.get("/ref/abc123def", secure=True).cookies["django-hype__rk"]
    assert (morsel["max-age"], morsel["httponly"], morsel["secure"], morsel["samesite"]) == (YEAR_S, True, True, "Lax")


def test_other_values_of_the_old_settings_are_used(link: ReferralLink, settings: Settings) -> None:
    """P-33, X-24: whenever they change"""
    settings.DJANGO_REFERRALS_SETTINGS = {"COOKIE_KEY": "rk", "COOKIE_HTTPONLY": False, "COOKIE_MAX_AGE": 60}
    morsel = Client().get("/ref/abc123def").cookies["rk"]
    assert (morsel["max-age"], bool(morsel["httponly"])) == (60, False)


def test_a_logged_in_follow_names_the_user_and_keeps_the_cookie(link: ReferralLink) -> None:
    """X-06, C-08: the older package deleted it."""
    bob = make_user()
    client = Client()
    client.get("/ref/abc123def")
    client.force_login(bob)
    client.get("/ref/abc123def")
    assert set(ReferralHit.objects.values_list("user", flat=True)) == {bob.pk}
    assert cookie_of(client)


@pytest.mark.parametrize("broken", ["unknown", "gone"])
def test_a_broken_or_disabled_link_leaves_the_cookie_alone(link: ReferralLink, broken: str, ann: Any) -> None:
    """X-05, L-20, L-21"""
    ReferralLink.objects.create(identifier="gone", user=ann, disabled=True)
    client = Client()
    client.get("/ref/abc123def")
    before = cookie_of(client)
    response = client.get(f"/ref/{broken}?next=/page/")
    assert (response.status_code, response["Location"], response.cookies) == (302, "/page/", {})
    assert cookie_of(client) == before
    assert ReferralHit.objects.count() == 1


def test_all_hits_are_the_users_after_a_login_and_not_the_last_one_alone(link: ReferralLink, ann: Any) -> None:
    """X-04, C-01, X-11: and code in the login's own view sees them."""
    other = ReferralLink.objects.create(identifier="other", user=ann)
    bob = make_user(username="bob")
    client = Client()
    for shared in ("abc123def", "other", "abc123def"):
        client.get(f"/ref/{shared}")
    assert client.post("/login/", {"username": "bob", "password": PASSWORD}).status_code == 302
    assert ReferralHit.objects.filter(user=bob, link=link).count() == 2
    assert ReferralHit.objects.get(link=other).user == bob


@pytest.mark.django_db(transaction=True)
def test_an_old_cookie_still_leads_to_its_imported_hit(link: ReferralLink) -> None:
    """C-18: the browser came before the move, and logs in after it."""
    bob = make_user(username="bob")
    hit = make_hit(id=uuid.uuid4(), link=link, origin=Origin.IMPORT)
    client = Client()
    client.cookies["django-hype__rk"] = str(hit.pk)
    response = client.post("/login/", {"username": "bob", "password": PASSWORD})
    assert ReferralHit.objects.get().user == bob
    assert response.cookies["django-hype__rk"]["max-age"] == 0


def test_an_id_that_somebody_learned_is_no_proof(link: ReferralLink) -> None:
    """X-08, V-03"""
    client = Client()
    client.get("/ref/abc123def")
    hit = ReferralHit.objects.get()
    make_user(username="eve")
    for text in (str(hit.pk), str(hit.visitor_id)):
        thief = Client()
        thief.cookies["django-hype__rk"] = text
        thief.post("/login/", {"username": "eve", "password": PASSWORD})
    assert ReferralHit.objects.get().user is None


def test_pages_that_look_at_no_user_open_no_session(link: ReferralLink) -> None:
    """X-09, X-10, P-31: the older middleware looked at the user of every answer."""
    client = Client()
    client.get("/ref/abc123def")
    response = client.get("/page/")
    assert (response.cookies, "Vary" in response) == ({}, False)


# --- Confirming Referrals -------------------------------------------------------------------------------------------------------------


def test_a_registration_confirms_the_hit_by_itself(link: ReferralLink) -> None:
    """X-23, N-01: `SuccessfulReferral` and `hit.confirmed` were written by hand."""
    client = Client()
    client.get("/ref/abc123def")
    assert client.post("/signup/", NEW).status_code == 302
    hit = ReferralHit.objects.get()
    confirmation = Confirmation.objects.get()
    assert (confirmation.hit, confirmation.user) == (hit, User.objects.get(username="carl"))
    assert hit.confirmed_at == confirmation.occurred_at


def test_a_referral_that_is_confirmed_by_hand_is_confirmed_once(link: ReferralLink) -> None:
    """X-23: what the documentation leaves as an exercise for the reader."""
    bob = make_user()
    hit = make_hit(link=link, user=bob)
    first, second = (api.confirm("Registered", hit=hit, reference="bob") for _ in range(2))
    assert (first.created, second.created) == (True, False)
    assert first.confirmation == second.confirmation == Confirmation.objects.get()


# --- Supporting Referral Links on Any URL ---------------------------------------------------------------------------------------------


def test_a_link_on_any_url_goes_by_way_of_its_own(link: ReferralLink) -> None:
    """P-01: the documentation's example."""
    client = Client()
    response = client.get("/accounts/signup/?ref=abc123def", follow=True)
    assert response.redirect_chain == [
        ("/ref/abc123def?next=%2Faccounts%2Fsignup%2F", 302),
        ("/accounts/signup/", 302),
    ]
    assert response.content == b"/accounts/signup/"
    assert ReferralHit.objects.get().link == link


def test_a_parameter_of_another_name_does_the_same(link: ReferralLink, settings: Settings) -> None:
    """P-33: `URL_PARAM`"""
    settings.DJANGO_REFERRALS_SETTINGS = {"URL_PARAM": "friend"}
    response = Client().get("/accounts/signup/?friend=abc123def", follow=True)
    assert [status for _url, status in response.redirect_chain] == [302, 302]
    assert Client().get("/accounts/signup/?ref=abc123def").status_code == 200
    assert ReferralHit.objects.count() == 1


def test_the_rest_of_the_query_is_kept(link: ReferralLink) -> None:
    """X-15, X-16, P-21: also what is there twice, and what is escaped in the path."""
    response = Client().get("/accounts/signup/?a=1&a=2&ref=abc123def&b=%20+%2f&c", follow=True)
    assert response.redirect_chain[-1] == ("/accounts/signup/?a=1&a=2&b=%20+%2f&c", 302)


def test_an_unknown_link_passes(link: ReferralLink) -> None:
    """P-04, X-14"""
    for value in ("unknown", "", "%00"):
        assert Client().get(f"/accounts/signup/?ref={value}").status_code == 200
    assert ReferralHit.objects.count() == 0


def test_what_is_no_visit_is_no_hit(link: ReferralLink) -> None:
    """X-17, X-19: heads, prefetches, previews; and no cache keeps what is one."""
    client = Client()
    client.head("/ref/abc123def")
    client.get("/ref/abc123def", headers={"sec-purpose": "prefetch"})
    client.get("/ref/abc123def", headers={"user-agent": "Slackbot-LinkExpanding 1.0"})
    assert ReferralHit.objects.count() == 0
    assert "no-store" in client.get("/ref/abc123def")["Cache-Control"]


# --- a sub-class of the view ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def told() -> Iterator[list[ReferralHit]]:
    """What the overridden `hit()` did, in a receiver."""
    heard: list[ReferralHit] = []

    def hear(sender: object, *, hit: ReferralHit, **kwargs: Any) -> None:
        heard.append(hit)

    hit_recorded.connect(hear)
    yield heard
    hit_recorded.disconnect(hear)


@pytest.mark.django_db(transaction=True)
def test_success_url_and_hit_of_a_sub_class_have_their_place(
    link: ReferralLink, settings: Settings, told: list[ReferralHit]
) -> None:
    """L-03: `success_url` is `DEFAULT_REDIRECT`, `hit()` a receiver of `hit_recorded`."""
    settings.LIVEREFERRALS = {"DEFAULT_REDIRECT": "/accounts/signup/"}
    assert Client().get("/ref/abc123def")["Location"] == "/accounts/signup/"
    assert told == [ReferralHit.objects.get()]
    assert Client().get("/ref/unknown")["Location"] == "/accounts/signup/"
    assert len(told) == 1


def test_a_links_deletion_in_passing_and_its_users_end_lose_no_visitor(link: ReferralLink, ann: Any) -> None:
    """X-22, X-21, L-63: hits stay when the user goes; links of nobody are possible."""
    Client().get("/ref/abc123def")
    ann.delete()
    assert ReferralHit.objects.get().link.identifier == "abc123def"
    assert Client().get("/ref/abc123def").status_code == 302
    assert ReferralHit.objects.count() == 1
    ReferralLink.objects.create(identifier="house")
    Client().get("/ref/house")
    assert ReferralHit.objects.count() == 2


def test_following_ones_own_link_is_not_credited(link: ReferralLink, ann: Any) -> None:
    """X-26, L-37"""
    client = Client()
    client.force_login(ann)
    client.get("/ref/abc123def")
    hit = ReferralHit.objects.get()
    assert hit.self_referral
    assert api.confirm("Registered", user=ann, reference="ann").confirmation is None
