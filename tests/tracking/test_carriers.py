"""Where a browser's visitor is kept: in the session instead of a cookie, and from one to the other."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.sessions.models import Session

from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_visitor
from tests.tracking.browsers import COOKIE, Browser, Statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

KEY = "affiliate_visitor_id"
IN = ["/ref/abc123", "/x?affiliate_id=moox6esi"]
ways_in = pytest.mark.parametrize("path", IN)


@pytest.fixture
def by_session(settings: Any) -> None:
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "session"}


def put_in_session(browser: Browser, **values: Any) -> None:
    """Leave values in the browser's session, as an earlier version of the host has."""
    session = import_module("django.contrib.sessions.backends.db").SessionStore()
    session.update(values)
    session.save()
    browser.client.cookies["sessionid"] = session.session_key


def session_of(browser: Browser) -> dict[str, Any]:
    """Return what is stored in the browser's session."""
    found: dict[str, Any] = Session.objects.get(pk=browser.client.cookies["sessionid"].value).get_decoded()
    return found


# --- the session carrier --------------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.usefixtures("by_session")
def test_session_keeps_the_visitors_id_as_text_and_no_cookie_is_set(
    world: SimpleNamespace, browser: Browser, path: str
) -> None:
    """V-07, P-10, X-33: the JSON serialiser can hold it, and the next request reads what the first has written"""
    response = browser.get(path)
    assert set(response.cookies) == {"sessionid"}
    stored = session_of(browser)
    visitor = Visitor.objects.get()
    assert stored[KEY] == str(visitor.pk)
    assert json.loads(json.dumps(stored)) == stored
    assert browser.get("/referral/").json()["visitor"] == str(visitor.pk)
    browser.get("/ref/qqq777")
    assert ReferralHit.objects.filter(visitor=visitor).count() == 2


@pytest.mark.parametrize("name", ["SESSION_KEY", "AFFILIATE_SESSION_KEY"])
def test_key_in_the_session_can_be_named(world: SimpleNamespace, browser: Browser, settings: Any, name: str) -> None:
    """V-07, X-24: by its old name too"""
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "session"}
    if name == "SESSION_KEY":
        settings.LIVEREFERRALS |= {name: "who"}
    else:
        settings.AFFILIATE_SESSION_KEY = "who"
    browser.get("/ref/abc123")
    assert session_of(browser)["who"] == str(Visitor.objects.get().pk)


@pytest.mark.parametrize("path", ["/x", "/referral/", "/ref/unknown", "/x?affiliate_id=unknown1", "/x?ref=unknown"])
@pytest.mark.usefixtures("by_session")
def test_only_a_hit_makes_a_session(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """V-07, P-31"""
    assert browser.get(path).cookies == {}
    assert Session.objects.count() == 0


@pytest.mark.usefixtures("by_session")
def test_page_without_parameter_does_not_touch_the_session(world: SimpleNamespace, browser: Browser) -> None:
    """V-07, P-31, X-09: nor is anything read from it"""
    browser.get("/ref/abc123")
    with Statements() as statements:
        response = browser.get("/x")
    assert statements.made == []
    assert (response.cookies, "Vary" in response) == ({}, False)


def bad_values() -> dict[str, Any]:
    return {
        "list": ["a"],
        "dict": {"id": 1},
        "number": 4711,
        "huge number": 2**70,
        "true": True,
        "no id": "abc",
        "gone": "00000000-0000-4000-8000-000000000000",
        "empty": "",
    }


@pytest.mark.parametrize("what", sorted(bad_values()))
@pytest.mark.usefixtures("by_session")
def test_bad_value_in_the_session_counts_as_none(world: SimpleNamespace, browser: Browser, what: str) -> None:
    """V-08, X-33: no error, no write for that alone, and the next follow puts it right"""
    put_in_session(browser, **{KEY: bad_values()[what]})
    assert browser.get("/referral/").json()["true"] is False
    assert session_of(browser)[KEY] == bad_values()[what]
    assert browser.get("/ref/abc123").status_code == 302
    assert session_of(browser)[KEY] == str(Visitor.objects.get().pk)


@pytest.mark.usefixtures("by_session")
def test_bad_value_leaves_with_the_next_write(world: SimpleNamespace, browser: Browser) -> None:
    """V-08: here a login's"""
    put_in_session(browser, **{KEY: ["a"]})
    browser.log_in(world.bob)
    assert KEY not in session_of(browser)


@pytest.mark.parametrize("carrier", ["cookie", "session"])
def test_number_of_an_imported_visitor_is_that_visitor(
    world: SimpleNamespace, browser: Browser, settings: Any, carrier: str
) -> None:
    """V-08, V-09: what the older package has left in sessions"""
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": carrier}
    visitor = make_visitor(legacy_id=4711)
    put_in_session(browser, **{KEY: 4711})
    assert browser.get("/referral/").json()["visitor"] == str(visitor.pk)
    browser.get("/ref/abc123")
    assert ReferralHit.objects.get().visitor == visitor


@pytest.mark.parametrize("path", ["/in/bob/", "/async-in/bob/"])
@pytest.mark.usefixtures("by_session")
def test_login_claims_the_visitor_of_the_session(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """C-01, C-02, V-07: the session says that it is claimed, so that the next login costs no query"""
    browser.get("/ref/abc123")
    assert browser.get(path).json() == {"hits": 1, "owner": world.bob.pk}
    assert session_of(browser)[KEY] == str(Visitor.objects.get().pk)
    with Statements() as statements:
        browser.get("/x")
    assert statements.made == []


@pytest.mark.usefixtures("by_session")
def test_visitor_goes_with_the_session_and_its_hits_stay(world: SimpleNamespace, browser: Browser) -> None:
    """C-16, C-04"""
    browser.get("/ref/abc123")
    browser.log_in(world.bob)
    browser.log_out()
    assert browser.get("/referral/").json()["true"] is False
    assert ReferralHit.objects.get().user == world.bob
    browser.log_in(world.ann)
    assert not ReferralHit.objects.filter(user=world.ann).exists()
    browser.get("/ref/qqq777")
    assert ReferralHit.objects.get(user=world.ann).link == world.qqq777


def test_without_sessions_the_cookie_carries(world: SimpleNamespace, kind: str, settings: Any) -> None:
    """V-17, V-07"""
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "session"}
    settings.MIDDLEWARE = ["livereferrals.middleware.ReferralMiddleware"]
    browser = Browser(kind)
    for path in IN:
        browser.get(path)
    assert Visitor.objects.count() == 1
    assert browser.carried is not None


# --- from one carrier to the other ----------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize(("before", "after"), [("cookie", "session"), ("session", "cookie")])
def test_changing_the_carrier_loses_nobody(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str, before: str, after: str
) -> None:
    """V-09: known in the old place, and moved by the next follow"""
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": before}
    browser.get("/ref/abc123")
    visitor = Visitor.objects.get()
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": after}
    assert browser.get("/referral/").json()["visitor"] == str(visitor.pk)
    browser.get(path)
    assert ReferralHit.objects.filter(visitor=visitor).count() == 2
    if after == "session":
        assert not browser.cookie
        assert session_of(browser)[KEY] == str(visitor.pk)
    else:
        assert browser.carried is not None
        assert browser.carried.id == visitor.pk
        assert set(session_of(browser)) == set()


@pytest.mark.parametrize("path", ["/in/bob/", "/async-in/bob/"])
def test_login_claims_a_visitor_that_is_known_in_the_old_place_only(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """V-09, C-01"""
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "session"}
    browser.get("/ref/abc123")
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "cookie"}
    assert browser.get(path).json() == {"hits": 1, "owner": world.bob.pk}


def test_new_place_goes_before_the_old_one(
    world: SimpleNamespace, browser: Browser, new_browser: Callable[[], Browser], settings: Any
) -> None:
    """V-09: a browser that has both"""
    browser.get("/ref/abc123")
    other = make_visitor()
    cookie = browser.cookie
    put_in_session(browser, **{KEY: str(other.pk)})
    assert browser.carried is not None
    assert browser.get("/referral/").json()["visitor"] == str(browser.carried.id)
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "session"}
    assert browser.get("/referral/").json()["visitor"] == str(other.pk)
    assert browser.client.cookies[COOKIE].value == cookie
