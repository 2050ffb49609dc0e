"""Claims without a login's signal, and those by the cookie of django-hype."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from livereferrals.events.models import Event
from livereferrals.tracking.models import Origin, ReferralHit, Visitor
from tests.factories import make_hit, make_visitor
from tests.tracking.away import away
from tests.tracking.browsers import COOKIE, Browser, Statements

if TYPE_CHECKING:
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.tracking.urls")]

OLD = "django-hype__rk"
LOOKING = ["/whose/", "/async-whose/"]


def in_without_signal(browser: Browser, user: Any) -> None:
    """Log in as a host does that sends no signal with the browser's own request."""
    browser.client.force_login(user)


def claims() -> int:
    return Event.objects.filter(type="claim").count()


def tracked(statements: Statements) -> list[str]:
    """Our own statements, without those of the host's session and user."""
    return [sql for sql in statements.made if "livereferrals" in sql]


# --- on the way out -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOOKING)
def test_first_request_in_which_the_host_looks_at_the_user_claims(
    world: SimpleNamespace, browser: Browser, path: str
) -> None:
    """C-11: on the way out, once; the renewed cookie says so, and nothing is asked again"""
    browser.get("/ref/abc123")
    in_without_signal(browser, world.bob)
    response = browser.get(path)
    assert response.json() == {"user": "bob"}
    assert ReferralHit.objects.get().user == Visitor.objects.get().user == world.bob
    assert COOKIE in response.cookies
    assert browser.carried is not None
    assert browser.carried.claimed
    with Statements() as statements:
        again = browser.get(path)
    assert (tracked(statements), again.cookies, claims()) == ([], {}, 1)


def test_host_that_authenticates_by_itself_is_noticed(world: SimpleNamespace, browser: Browser) -> None:
    """C-11: a plain user on the request"""
    browser.get("/ref/abc123")
    browser.get("/by-token/", headers={"authorization": "bob"})
    assert ReferralHit.objects.get().user == world.bob


@pytest.mark.parametrize("path", ["/x", "/page/", "/async/"])
def test_our_code_never_looks_first(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """C-11, P-31, X-09: no query, no session, no header"""
    browser.get("/ref/abc123")
    in_without_signal(browser, world.bob)
    with Statements() as statements:
        response = browser.get(path)
    assert statements.made == []
    assert (response.cookies, "Vary" in response) == ({}, False)
    assert ReferralHit.objects.get().user is None


@pytest.mark.parametrize("path", LOOKING)
def test_nothing_is_claimed_for_nobody(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """C-11: an anonymous visitor costs no query of ours"""
    browser.get("/ref/abc123")
    with Statements() as statements:
        browser.get(path)
    assert (tracked(statements), claims()) == ([], 0)


@pytest.mark.parametrize("path", LOOKING)
def test_visitor_of_somebody_else_stays_theirs(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """C-11, C-04: and the browser is told that it is claimed, so that it is not asked each time"""
    browser.get("/ref/abc123")
    Visitor.objects.update(user=world.ann, claimed_at=ReferralHit.objects.get().created_at)
    in_without_signal(browser, world.bob)
    browser.get(path)
    assert Visitor.objects.get().user == world.ann
    assert browser.carried is not None
    assert browser.carried.claimed


@pytest.mark.parametrize("path", LOOKING)
def test_session_carrier_claims_on_the_way_out_too(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """C-11, V-07"""
    settings.LIVEREFERRALS = {"VISITOR_CARRIER": "session"}
    browser.get("/ref/abc123")
    session = browser.client.session
    visitor = session["affiliate_visitor_id"]
    in_without_signal(browser, world.bob)
    assert browser.client.session["affiliate_visitor_id"] == visitor
    browser.get(path)
    assert ReferralHit.objects.get().user == world.bob
    with Statements() as statements:
        browser.get(path)
    assert (tracked(statements), claims()) == ([], 1)


def test_login_that_rolls_back_is_not_made_up_for_on_the_way_out(world: SimpleNamespace, browser: Browser) -> None:
    """C-12: although the request still has its user"""
    browser.get("/ref/abc123")
    assert browser.get("/in-and-fail/bob/").json() == {"user": "bob"}
    assert (Visitor.objects.get().user, claims()) == (None, 0)


def test_user_who_is_deleted_in_the_same_request_is_no_error(
    world: SimpleNamespace, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """C-19"""
    browser.get("/ref/abc123")
    in_without_signal(browser, world.bob)
    response = browser.get("/close-account/")
    assert (response.status_code, response.json()["deleted"] > 0) == (200, True)
    assert (Visitor.objects.get().user, claims(), caplog.records) == (None, 0, [])


@pytest.mark.parametrize("path", LOOKING)
def test_error_on_the_way_out_leaves_the_answer_alone(
    world: SimpleNamespace, browser: Browser, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """C-11, C-13: it is logged, and the next request makes up for it"""

    browser.get("/ref/abc123")
    in_without_signal(browser, world.bob)
    with away(Event):
        response = browser.get(path)
    assert response.json() == {"user": "bob"}
    assert ReferralHit.objects.get().user is None
    assert [record.levelname for record in caplog.records if record.name.startswith("livereferrals")] == ["ERROR"]
    browser.get(path)
    assert ReferralHit.objects.get().user == world.bob


# --- the cookie of django-hype --------------------------------------------------------------------------------------------


@pytest.fixture
def imported() -> ReferralHit:
    """A hit that was imported from django-hype."""
    return make_hit(id=uuid.uuid4(), origin=Origin.IMPORT)


@pytest.mark.parametrize("name", [OLD, "ours"])
@pytest.mark.parametrize("path", ["/in/bob/", "/async-in/bob/"])
def test_old_cookie_is_honoured_at_login_and_taken_away(
    world: SimpleNamespace, browser: Browser, settings: Any, imported: ReferralHit, path: str, name: str
) -> None:
    """C-18: under the name that `COOKIE_KEY` says"""
    if name != OLD:
        settings.DJANGO_REFERRALS_SETTINGS = {"COOKIE_KEY": name}
    browser.client.cookies[name] = str(imported.pk)
    response = browser.get(path)
    assert response.json()["hits"] == 1
    imported.refresh_from_db()
    assert imported.user == world.bob
    assert Visitor.objects.get().user == world.bob
    assert response.cookies[name]["max-age"] == 0
    assert claims() == 1


def test_old_cookie_and_a_new_one_are_both_claimed(
    world: SimpleNamespace, browser: Browser, imported: ReferralHit
) -> None:
    """C-18, C-01"""
    browser.get("/ref/abc123")
    browser.client.cookies[OLD] = str(imported.pk)
    assert browser.get("/in/bob/").json()["hits"] == 2
    assert browser.carried is not None
    assert browser.carried.claimed


@pytest.mark.parametrize("origin", [Origin.WEB, Origin.API])
def test_id_of_a_hit_that_was_not_imported_proves_nothing(
    world: SimpleNamespace, browser: Browser, origin: Origin
) -> None:
    """C-18, X-08, V-03: ids stand in feeds and callbacks"""
    hit = make_hit(origin=origin)
    for value in (str(hit.pk), str(hit.visitor_id)):
        for name in (OLD, COOKIE):
            browser.client.cookies[name] = value
        assert browser.get("/in/bob/").json()["hits"] == 0
        browser.log_out()
    assert claims() == 0


@pytest.mark.parametrize("value", ["", "abc", "x" * 36, "{" + "a" * 34 + "}", str(uuid.UUID(int=7)), "é" * 36])
def test_old_cookie_that_names_nothing_is_left_alone(world: SimpleNamespace, browser: Browser, value: str) -> None:
    """C-18: hits that are imported later are still found then"""
    response = browser.get("/in/bob/", headers={"cookie": f"{OLD}={value}"})
    assert (response.json()["hits"], OLD in response.cookies) == (0, False)


def test_imported_hit_of_somebody_else_stays_theirs(world: SimpleNamespace, browser: Browser) -> None:
    """C-18, V-12"""
    hit = make_hit(id=uuid.uuid4(), origin=Origin.IMPORT, visitor=make_visitor(user=world.ann))
    browser.client.cookies[OLD] = str(hit.pk)
    assert browser.get("/in/bob/").json()["hits"] == 0
    assert Visitor.objects.get().user == world.ann
