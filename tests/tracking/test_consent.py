"""Visitors who may not be known again: the host's hook, and what the browser asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.sessions.models import Session

from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.tracking.browsers import COOKIE, Browser

if TYPE_CHECKING:
    from types import SimpleNamespace

    from django.http import HttpRequest

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

HERE = "tests.tracking.test_consent"
IN = ["/ref/abc123?next=/x", "/x?affiliate_id=moox6esi"]
ways_in = pytest.mark.parametrize("path", IN)
HEADERS = {"user-agent": "Mozilla/5.0 (iPhone) Mobile", "referer": "https://blog.example/"}


def has_agreed(request: HttpRequest) -> bool:
    """Whether the host's own cookie says so."""
    return request.COOKIES.get("agreed") == "yes"


async def has_agreed_async(request: HttpRequest) -> bool:
    """The same by an async function."""
    return has_agreed(request)


def not_asked_yet(request: HttpRequest) -> None:
    """Neither yes nor no."""


def fails(request: HttpRequest) -> bool:
    """A hook with an error."""
    raise ValueError("the host's own")


def says_more(request: HttpRequest) -> bool:
    """A hook that knows who is logged in."""
    return not request.user.is_authenticated


@ways_in
@pytest.mark.parametrize("carrier", ["cookie", "session"])
@pytest.mark.parametrize("hook", [has_agreed.__name__, has_agreed_async.__name__, not_asked_yet.__name__])
def test_refusal_is_a_hit_that_leads_to_nobody(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str, carrier: str, hook: str
) -> None:
    """V-14, P-29: counted, without cookie, session, address, agent, referer and user"""
    settings.LIVEREFERRALS = {"CONSENT": f"{HERE}.{hook}", "VISITOR_CARRIER": carrier, "IP": "full"}
    response = browser.get(f"{path}&click_id=c", headers=HEADERS)
    assert (response.status_code, response["Location"].split("?")[0], response.cookies) == (302, "/x", {})
    hit = ReferralHit.objects.get()
    assert hit.no_consent
    assert (hit.visitor, hit.user, hit.authenticated) == (None, None, False)
    assert (hit.ip, hit.user_agent, hit.referer, hit.device) == (None, "", "", "other")
    assert (Visitor.objects.count(), Session.objects.count()) == (0, 0)
    event = Event.objects.get(type="hit")
    assert (event.data["visitor"], event.visitor, event.user) == (None, None, "")


def test_refused_hit_is_never_claimed_or_credited(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """V-14: by whatever comes later"""
    settings.LIVEREFERRALS = {"CONSENT": f"{HERE}.has_agreed"}
    browser.get("/ref/abc123")
    browser.client.cookies["agreed"] = "yes"
    browser.log_in(world.bob)
    assert ReferralHit.objects.get().user is None
    assert browser.get("/referral/").json()["hit"] is None
    browser.get("/ref/qqq777")
    assert browser.get("/referral/").json()["link"] == "qqq777"
    assert ReferralHit.objects.filter(user=world.bob).count() == 1


@ways_in
def test_refusal_of_somebody_logged_in_does_not_name_them(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """V-14"""
    settings.LIVEREFERRALS = {"CONSENT": f"{HERE}.{says_more.__name__}"}
    browser.log_in(world.ann)
    browser.get(path)
    hit = ReferralHit.objects.get()
    assert (hit.user, hit.visitor, hit.authenticated) == (None, None, False)


@ways_in
@pytest.mark.parametrize("carrier", ["cookie", "session"])
def test_what_the_browser_carries_from_before_is_taken_away(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str, carrier: str
) -> None:
    """V-14: with the attributes that it was set with, or browsers would keep it"""
    place = {"COOKIE_PATH": "/", "COOKIE_DOMAIN": "shop.example", "VISITOR_CARRIER": carrier}
    settings.LIVEREFERRALS = place
    browser.get("/ref/qqq777")
    assert browser.get("/referral/").json()["true"] is True
    settings.LIVEREFERRALS = place | {"CONSENT": f"{HERE}.has_agreed"}
    response = browser.get(path)
    if carrier == "cookie":
        morsel = response.cookies[COOKIE]
        assert (morsel["max-age"], morsel["domain"], morsel["path"], morsel["samesite"]) == (
            0,
            "shop.example",
            "/",
            "Lax",
        )
    assert browser.get("/referral/").json()["true"] is False


@pytest.mark.parametrize("hook", [f"{HERE}.{fails.__name__}", f"{HERE}.no_such_function", 42])
def test_hook_that_fails_counts_as_a_no(
    world: SimpleNamespace, browser: Browser, settings: Any, hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """V-15: it is logged, and the visitor led on"""
    settings.LIVEREFERRALS = {"CONSENT": hook}
    response = browser.get("/ref/abc123?next=/x")
    assert (response.status_code, response["Location"], response.cookies) == (302, "/x", {})
    assert ReferralHit.objects.get().no_consent
    (record,) = [each for each in caplog.records if each.name == "livereferrals.tracking.consent"]
    assert record.levelname == "ERROR"
    assert record.exc_info


@ways_in
def test_agreement_is_a_hit_like_any(world: SimpleNamespace, browser: Browser, settings: Any, path: str) -> None:
    """V-14"""
    settings.LIVEREFERRALS = {"CONSENT": f"{HERE}.has_agreed"}
    browser.client.cookies["agreed"] = "yes"
    browser.get(path)
    assert not ReferralHit.objects.get().no_consent
    assert browser.carried is not None


@pytest.mark.parametrize(("respect", "header", "refused"), [(True, "1", True), (True, "0", False), (False, "1", False)])
def test_browsers_objection_is_respected_where_the_host_says_so(
    world: SimpleNamespace, browser: Browser, settings: Any, respect: bool, header: str, refused: bool
) -> None:
    """V-16, X-24"""
    settings.LIVEREFERRALS = {"RESPECT_GPC": respect}
    browser.get("/ref/abc123", headers={"sec-gpc": header})
    assert ReferralHit.objects.get().no_consent is refused
    assert (browser.cookie is None) is refused
