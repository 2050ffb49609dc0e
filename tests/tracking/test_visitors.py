from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from django.core.signing import Signer
from django.http import HttpResponse
from django.test import RequestFactory

from livereferrals.tracking import visitors
from livereferrals.tracking.models import ReferralHit, Visitor
from livereferrals.tracking.referral import visitor_from_token
from tests.factories import make_visitor
from tests.tracking.browsers import COOKIE, Browser

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]
IN = ["/ref/abc123", "/x?affiliate_id=moox6esi"]


@pytest.mark.parametrize("path", IN)
@pytest.mark.parametrize("secure", [True, False])
def test_cookie_has_the_attributes_that_the_settings_say(
    world: SimpleNamespace, kind: str, path: str, secure: bool
) -> None:
    """V-01"""
    morsel = Browser(kind, secure=secure).get(path).cookies[COOKIE]
    assert bool(morsel["secure"]) is secure
    assert morsel["httponly"]
    assert (morsel["samesite"], morsel["path"], morsel["max-age"], morsel["domain"]) == ("Lax", "/", 31_536_000, "")


def test_cookie_settings_are_used(world: SimpleNamespace, kind: str, settings: Any) -> None:
    """V-01, V-18"""
    settings.LIVEREFERRALS = {
        "COOKIE_NAME": "who",
        "COOKIE_DOMAIN": ".shop.example",
        "COOKIE_PATH": "/shop/",
        "COOKIE_SAMESITE": "None",
        "COOKIE_SECURE": True,
        "COOKIE_HTTPONLY": False,
        "COOKIE_MAX_AGE": 3600,
    }
    morsel = Browser(kind, secure=False).get("/ref/abc123").cookies["who"]
    assert (morsel["domain"], morsel["path"], morsel["samesite"]) == (".shop.example", "/shop/", "None")
    assert (bool(morsel["secure"]), bool(morsel["httponly"]), morsel["max-age"]) == (True, False, 3600)


def test_cookie_behind_a_proxy_is_secure_as_django_judges(world: SimpleNamespace, kind: str, settings: Any) -> None:
    """V-01"""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    response = Browser(kind, secure=False).get("/ref/abc123", headers={"x-forwarded-proto": "https"})
    assert response.cookies[COOKIE]["secure"]


def test_second_follow_is_the_same_visitor_with_its_cookie_renewed(world: SimpleNamespace, browser: Browser) -> None:
    """V-02"""
    browser.get("/ref/abc123")
    first = browser.carried
    for path in ("/ref/qqq777", "/x?affiliate_id=moox6esi"):
        response = browser.get(path)
        assert COOKIE in response.cookies
        assert browser.carried == first
    assert Visitor.objects.count() == 1
    assert ReferralHit.objects.filter(visitor__isnull=False).count() == 3


def broken(known: visitors.Carried, good: str) -> dict[str, str]:
    """Cookies that are none, by what is wrong with them."""
    visitor_id, _, signature = good.partition(":")
    return {
        "empty": "",
        "bare id": str(known.id),
        "unsigned": visitor_id,
        "another's signature": f"{make_visitor().pk.hex}u:{signature}",
        "claimed by hand": f"{visitor_id[:32]}c:{signature}",
        "altered signature": good[:-3] + "abc",
        "other salt": Signer(salt="mine").sign(visitor_id),
        "a token of a host": visitors.token(known.id),
        "signed garbage": Signer(salt=visitors.COOKIE_SALT).sign("garbage"),
        "oversized": good + "x" * 5000,
        "not ASCII": "é" * 60,
        "number": "42",
        "separators": ":::",
    }


@pytest.mark.parametrize("path", [*IN, "/referral/"])
def test_broken_cookie_counts_as_none(
    world: SimpleNamespace, browser: Browser, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """V-03"""
    browser.get("/ref/abc123")
    known = browser.carried
    assert known is not None
    for what, cookie in broken(known, browser.cookie or "").items():
        response = browser.get(path, headers={"cookie": f"{COOKIE}={cookie}"}) if not cookie.isascii() else None
        if response is None:
            browser.cookie = cookie
            response = browser.get(path)
        if path == "/referral/":
            assert response.json()["true"] is False, what
            continue
        assert response.status_code == 302, what
        fresh = browser.carried
        assert fresh is not None, what
        assert fresh.id != known.id, what
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_visitor_that_is_gone_is_replaced_at_the_next_follow(world: SimpleNamespace, browser: Browser) -> None:
    """V-04"""
    browser.get("/ref/abc123")
    gone = browser.carried
    ReferralHit.objects.all().delete()
    Visitor.objects.all().delete()
    assert browser.get("/referral/").json()["true"] is False
    assert browser.get("/page/").status_code == 200
    browser.get("/ref/abc123")
    assert browser.carried is not None
    assert browser.carried != gone
    assert Visitor.objects.get().pk == browser.carried.id


def test_landing_works_with_every_field_empty(world: SimpleNamespace) -> None:
    """V-11: a unix socket has no address, and nobody has to send headers"""
    browser = Browser("wsgi")
    for path in IN:
        assert browser.get(path, REMOTE_ADDR="").status_code == 302
    browser.get("/ref/abc123", REMOTE_ADDR="unix:")
    for hit in ReferralHit.objects.all():
        assert (hit.user, hit.user_agent, hit.referer, hit.ip, hit.authenticated) == (None, "", "", None, False)
        assert hit.device == "other"


def test_landing_works_without_an_address_under_asgi(world: SimpleNamespace) -> None:
    """V-11: `scope["client"]` is nothing behind a unix socket"""
    browser = Browser("asgi")
    browser.client.peer = None
    assert browser.get("/ref/abc123").status_code == 302
    assert ReferralHit.objects.get().ip is None


def test_browser_of_ann_gets_a_new_visitor_while_it_is_not_ann(
    world: SimpleNamespace, browser: Browser, new_browser: Callable[[], Browser]
) -> None:
    """V-12, C-08: and the same one while it is"""
    browser.log_in(world.ann)
    browser.get("/ref/abc123")
    browser.get("/ref/qqq777")
    anns = Visitor.objects.get()
    assert (anns.user, ReferralHit.objects.filter(user=world.ann, visitor=anns).count()) == (world.ann, 2)
    browser.log_out()
    browser.get("/ref/abc123")
    assert browser.carried is not None
    assert browser.carried.id != anns.pk
    assert not browser.carried.claimed
    assert ReferralHit.objects.get(visitor_id=browser.carried.id).user is None


@pytest.mark.parametrize("missing", ["SessionMiddleware", "AuthenticationMiddleware"])
def test_without_sessions_or_authentication_visitors_are_anonymous(
    world: SimpleNamespace, kind: str, settings: Any, missing: str
) -> None:
    """V-17"""
    settings.MIDDLEWARE = ["livereferrals.middleware.ReferralMiddleware"]
    if missing == "AuthenticationMiddleware":
        settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", *settings.MIDDLEWARE]
    browser = Browser(kind)
    for path in IN:
        assert browser.get(path).status_code == 302
    assert ReferralHit.objects.filter(user=None, visitor__user=None).count() == 2
    assert browser.get("/referral/").json()["link"] == "moox6esi"


def test_token_stands_for_the_visitor_after_the_browser_is_gone(world: SimpleNamespace, browser: Browser) -> None:
    """S-36"""
    browser.get("/ref/abc123")
    token = browser.get("/referral/").json()["token"]
    assert visitor_from_token(token) == Visitor.objects.get()
    for text in ("", "garbage", str(Visitor.objects.get().pk), browser.cookie or "", token + "x"):
        assert visitor_from_token(text) is None
    ReferralHit.objects.all().delete()
    Visitor.objects.all().delete()
    assert visitor_from_token(token) is None


def test_cookie_says_whether_the_visitor_is_claimed(world: SimpleNamespace) -> None:
    """C-11: so that a claimed visitor need not be looked up"""
    for user in (None, world.bob):
        visitor = make_visitor(user=user)
        response = HttpResponse()
        visitors.carry(RequestFactory().get("/"), response, visitor)
        browser = Browser()
        browser.cookie = response.cookies[COOKIE].value
        assert browser.carried == visitors.Carried(id=visitor.pk, claimed=user is not None)
