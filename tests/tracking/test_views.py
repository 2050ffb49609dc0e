from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client import REGISTRY

from livereferrals.events.models import Event
from livereferrals.tracking.link_cache import get_links
from livereferrals.tracking.models import ReferralHit, ReferralLink, Visitor
from tests.factories import make_link
from tests.tracking.away import away
from tests.tracking.browsers import Browser, Statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from django.db.models import Model

pytestmark = pytest.mark.django_db


def hits() -> int:
    """The number of hits, each with its event."""
    assert ReferralHit.objects.count() == Event.objects.filter(type="hit").count()
    return ReferralHit.objects.count()


def follow(browser: Browser, next_: str | None = None, identifier: str = "abc123", **options: Any) -> Any:
    query = "" if next_ is None else f"?next={quote(next_, safe='')}"
    return browser.get(f"/ref/{identifier}{query}", **options)


def test_following_a_link_is_one_hit_and_a_redirect_to_next(world: SimpleNamespace, browser: Browser) -> None:
    """L-01"""
    response = follow(browser, "/x")
    assert (response.status_code, response["Location"], response.content) == (302, "/x", b"")
    assert hits() == 1
    hit = ReferralHit.objects.get()
    assert (hit.link, hit.partner) == (world.abc123, world.p)
    assert Visitor.objects.get() == hit.visitor
    assert browser.carried is not None
    assert browser.carried.id == hit.visitor_id


def test_no_cache_keeps_any_answer(world: SimpleNamespace, browser: Browser) -> None:
    """L-02, L-12"""
    for method, path in [
        ("get", "/ref/abc123"),
        ("get", "/ref/unknown"),
        ("head", "/ref/abc123"),
        ("post", "/ref/abc123"),
        ("options", "/ref/abc123"),
        ("get", "/page/?ref=abc123"),
        ("get", "/page/?affiliate_id=moox6esi"),
        ("get", "/page/?affiliate_id=unknown"),
    ]:
        response = browser.request(method, path)
        assert set(response["Cache-Control"].split(", ")) == {"no-store", "private"}, (method, path)
    assert follow(browser)["X-Robots-Tag"] == "noindex, nofollow"


def test_without_next_the_links_own_target_or_the_default(
    world: SimpleNamespace, browser: Browser, settings: Any
) -> None:
    """L-03"""
    assert follow(browser)["Location"] == "/"
    settings.LIVEREFERRALS = {"DEFAULT_REDIRECT": "/welcome/"}
    assert follow(browser)["Location"] == "/welcome/"
    make_link(identifier="sale", partner=world.p, target="/sale/")
    assert follow(browser, identifier="sale")["Location"] == "/sale/"


def test_next_beats_the_links_own_target_which_is_checked_when_used(world: SimpleNamespace, browser: Browser) -> None:
    """L-04"""
    make_link(identifier="sale", partner=world.p, target="/sale/")
    make_link(identifier="evil", partner=world.p, target="https://evil.example/")
    assert follow(browser, "/x", identifier="sale")["Location"] == "/x"
    assert follow(browser, "//evil.example", identifier="sale")["Location"] == "/sale/"
    assert follow(browser, identifier="evil")["Location"] == "/"
    assert hits() == 3


@pytest.mark.parametrize("append_slash", [True, False])
def test_both_forms_of_the_url_answer_directly(
    world: SimpleNamespace, browser: Browser, settings: Any, append_slash: bool
) -> None:
    """L-05"""
    settings.APPEND_SLASH = append_slash
    for number, path in enumerate(["/ref/abc123?next=/x", "/ref/abc123/?next=/x"], start=1):
        response = browser.get(path)
        assert (response.status_code, response["Location"]) == (302, "/x")
        assert hits() == number


def test_url_of_a_link_has_no_slash_at_its_end() -> None:
    """P-01: the form that is shared"""
    assert reverse("livereferrals:link", args=["abc123"]) == "/ref/abc123"


def test_identifiers_are_letters_of_any_language_and_case_sensitive(world: SimpleNamespace, browser: Browser) -> None:
    """L-06"""
    make_link(identifier="Grüße-日本_1", partner=world.p)
    assert follow(browser, "/x", identifier=quote("Grüße-日本_1")).status_code == 302
    assert hits() == 1
    assert follow(browser, "/x", identifier="ABC123")["Location"] == "/x"
    assert hits() == 1


def test_partners_uid_is_a_link_from_the_start(world: SimpleNamespace, browser: Browser) -> None:
    """L-08"""
    assert follow(browser, identifier="moox6esi").status_code == 302
    assert ReferralHit.objects.get().link == world.p.links.get(home=True)


def test_hit_keeps_what_the_request_says(world: SimpleNamespace, browser: Browser) -> None:
    """L-09"""
    browser.log_in(world.bob)
    before = timezone.now()
    follow(
        browser,
        "/x?a=1",
        headers={
            "user-agent": "Mozilla/5.0 (Windows NT 10.0) " + "a" * 2000,
            "referer": "https://blog.example/" + "b" * 2000,
        },
        **({"REMOTE_ADDR": "203.0.113.77"} if browser._sync else {}),
    )
    hit = ReferralHit.objects.get()
    assert (hit.link, hit.user, hit.authenticated, hit.entry_url) == (world.abc123, world.bob, True, "/x?a=1")
    assert before <= hit.created_at <= timezone.now()
    assert (len(hit.user_agent), len(hit.referer), hit.device) == (1000, 1000, "desktop")
    assert hit.ip == ("203.0.113.0" if browser._sync else "127.0.0.0")


def test_own_ids_are_kept_and_not_passed_on(world: SimpleNamespace, browser: Browser) -> None:
    """L-13"""
    response = browser.get("/ref/abc123?next=/x&sub1=a&sub5=%C3%A9&click_id=" + "c" * 300)
    hit = ReferralHit.objects.get()
    assert hit.subs == ["a", "", "", "", "é"]
    assert hit.click_id == "c" * 200
    assert response["Location"] == "/x"


@pytest.mark.parametrize(
    "identifier",
    [
        "unknown",
        "ABC123",
        "a" * 51,
        "a" * 5000,
        "%00",
        "a%0Ab",
        "..%5C",
        "%20",
        "a.b",
        "%F0%9F%92%A9",
        "%FF",
        "{0}",
        "'",
    ],
)
def test_unknown_identifier_leads_on_without_a_hit(world: SimpleNamespace, browser: Browser, identifier: str) -> None:
    """L-20, X-14"""
    follow(browser)
    cookie = browser.cookie
    for path in (f"/ref/{identifier}", f"/ref/{identifier}/"):
        response = browser.get(path)
        assert (response.status_code, response["Location"], response.cookies) == (302, "/", {})
        assert browser.get(f"{path}?next=/x")["Location"] == "/x"
        assert browser.get(f"{path}?next=//evil.example")["Location"] == "/"
    assert (hits(), browser.cookie) == (1, cookie)


def test_disabled_link_leads_on_without_a_hit(world: SimpleNamespace, browser: Browser) -> None:
    """L-21"""
    world.abc123.disabled = True
    world.abc123.save()
    response = follow(browser, "/x")
    assert (response.status_code, response["Location"], response.cookies, hits()) == (302, "/x", {}, 0)


def test_link_of_an_inactive_partner_counts_again_once_it_is_active(world: SimpleNamespace, browser: Browser) -> None:
    """L-22"""
    world.p.active = False
    world.p.save()
    response = follow(browser, "/x")
    assert (response.status_code, response["Location"], response.cookies, hits()) == (302, "/x", {}, 0)
    world.p.active = True
    world.p.save()
    follow(browser, "/x")
    assert hits() == 1


def test_link_of_a_deactivated_user_leads_on_without_a_hit(world: SimpleNamespace, browser: Browser) -> None:
    """L-23"""
    world.ann.is_active = False
    world.ann.save()
    assert follow(browser, "/x", identifier="ann1")["Location"] == "/x"
    assert hits() == 0


def test_head_answers_like_get_and_records_nothing(world: SimpleNamespace, browser: Browser) -> None:
    """L-30"""
    response = browser.request("head", "/ref/abc123?next=/x")
    assert (response.status_code, response["Location"], response.cookies, hits()) == (302, "/x", {}, 0)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_other_methods_are_refused_even_without_a_csrf_token(world: SimpleNamespace, kind: str, method: str) -> None:
    """L-31"""
    browser = Browser(kind, enforce_csrf_checks=True)
    response = browser.request(method, "/ref/abc123")
    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert hits() == 0


def test_options_says_what_is_allowed(world: SimpleNamespace, browser: Browser) -> None:
    """L-31"""
    response = browser.request("options", "/ref/abc123")
    assert (response.status_code, response["Allow"], hits()) == (200, "GET, HEAD, OPTIONS", 0)


@pytest.mark.parametrize(
    ("query", "location"),
    [
        pytest.param("next=/x", "/x", id="L-40 path"),
        pytest.param("next=https://shop.example/x", "https://shop.example/x", id="L-45 same host"),
        pytest.param("next=http://shop.example/x", "/", id="L-45 plain http"),
        pytest.param("next=https://SHOP.EXAMPLE:443/x", "https://SHOP.EXAMPLE:443/x", id="L-45 case and port"),
        pytest.param("next=//evil.example", "/", id="L-41 two slashes"),
        pytest.param("next=/%5Cevil.example", "/", id="L-41 backslash"),
        pytest.param("next=https://shop.example@evil.example/", "/", id="L-41 user name"),
        pytest.param("next=javascript:alert(1)", "/", id="L-42 script"),
        pytest.param("next=%09//evil.example", "/", id="L-43 tab"),
        pytest.param("next=%0A/x", "/", id="L-43 line feed"),
        pytest.param("next=%20//evil.example", "/", id="L-43 blank"),
        pytest.param("next=/x%0D%0ASet-Cookie:a=b", "/", id="L-43 header injection"),
        pytest.param("next=/%00", "/", id="X-14 NUL"),
        pytest.param("next=foo", "/", id="L-44 relative"),
        pytest.param("next=%3Fa=1", "/", id="L-44 query"),
        pytest.param("next=%23top", "/", id="L-44 fragment"),
        pytest.param("next=logout", "/", id="X-02 name of a view"),
        pytest.param("next=/caf%C3%A9?q=%E2%82%AC", "/caf%C3%A9?q=%E2%82%AC", id="L-47 not ASCII"),
        pytest.param("next=/x%3Fq%3Da%2526b", "/x?q=a%26b", id="L-47 escaped"),
        pytest.param("next=/x%3Fa%3D1%26b%3D2%23part", "/x?a=1&b=2#part", id="L-48 query and fragment"),
        pytest.param("next=/a&next=/b", "/b", id="L-51 the last one"),
        pytest.param("next=", "/", id="L-51 empty"),
        pytest.param("next", "/", id="L-51 no value"),
        pytest.param("%6Eext=/x", "/x", id="L-51 escaped name"),
        pytest.param("next=/%FF", "/%EF%BF%BD", id="L-47 no UTF-8"),
    ],
)
def test_target_is_what_the_rules_say_and_the_hit_is_recorded(
    world: SimpleNamespace, browser: Browser, query: str, location: str
) -> None:
    """L-40, L-41, L-42, L-43, L-44, L-45, L-47, L-48, L-51, over HTTP"""
    response = browser.get(f"/ref/abc123?{query}")
    assert (response.status_code, response["Location"], hits()) == (302, location, 1)
    assert ReferralHit.objects.get().entry_url == location


def test_listed_host_is_followed(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-40"""
    settings.LIVEREFERRALS = {"ALLOWED_REDIRECT_HOSTS": ["app.example"]}
    assert follow(browser, "https://app.example/x")["Location"] == "https://app.example/x"
    assert follow(browser, "https://evil.example/x")["Location"] == "/"


def test_long_next_is_followed_whole_and_kept_in_part(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-49, X-13, X-54: 8 KB, and not the 200 characters of an old column"""
    long = "/" + "a" * 8191
    assert follow(browser, long)["Location"] == long
    assert ReferralHit.objects.get().entry_url == long[:2000]
    assert follow(browser, long + "a")["Location"] == "/"
    assert hits() == 2
    # Longer than Django's own redirects may be: no error after the hit.
    settings.LIVEREFERRALS = {"MAX_NEXT_LENGTH": 60_000}
    longer = "/" + "a" * 40_000
    assert follow(browser, longer)["Location"] == longer
    assert hits() == 3


def test_query_with_thousands_of_parameters_is_answered(world: SimpleNamespace, browser: Browser) -> None:
    """L-20, L-49: no limit of a form parser stands between a visitor and the target"""
    response = browser.get("/ref/abc123?" + "&".join(f"a{n}=1" for n in range(3000)) + "&next=/x")
    assert (response.status_code, response["Location"], hits()) == (302, "/x", 1)


def test_host_that_django_rejects_is_its_error_and_no_hit(
    world: SimpleNamespace, browser: Browser, settings: Any
) -> None:
    """L-53"""
    settings.ALLOWED_HOSTS = ["shop.example"]
    settings.MIDDLEWARE = ["livereferrals.middleware.ReferralMiddleware"]  # no other one asks for the host
    for path in ("/ref/abc123", "/page/?affiliate_id=moox6esi"):
        assert browser.get(path, headers={"host": "evil.example"}).status_code == 400
    assert hits() == 0


def test_link_asks_for_no_login(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """P-30"""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert follow(browser, "/x")["Location"] == "/x"
    assert hits() == 1


@pytest.mark.django_db(transaction=True)
def test_hit_takes_one_transaction_and_at_most_five_statements(
    world: SimpleNamespace, kind: str, new_browser: Callable[[], Browser]
) -> None:
    """L-10: 4 for a new visitor and for a known one, 5 for a visitor whose row is gone"""
    browser = new_browser()
    for most in (4, 4):
        with Statements() as statements:
            follow(browser, "/x")
        assert len(statements.made) <= most, statements.made
        assert statements.transactions in of_a_hit(kind)
    ReferralHit.objects.all().delete()
    Visitor.objects.all().delete()
    with Statements() as statements:
        follow(browser, "/x")
    assert len(statements.made) <= 5, statements.made


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/ref/abc123", "/page/?affiliate_id=moox6esi"])
def test_answer_waits_for_the_commit_also_with_atomic_requests(
    world: SimpleNamespace, kind: str, browser: Browser, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """L-10: the hit's transaction is the outermost one, so that it is committed when the view is done"""
    monkeypatch.setitem(connections.settings[DEFAULT_DB_ALIAS], "ATOMIC_REQUESTS", True)
    with Statements() as statements:
        assert browser.get(path).status_code == 302
    assert statements.savepoints == 0
    assert statements.transactions in of_a_hit(kind)
    assert not connection.in_atomic_block
    assert hits() == 1


def of_a_hit(kind: str) -> set[int]:
    """Return how many transactions are committed by a statement of their own: none where one statement is all there is."""
    return {0, 1} if kind == "front" and connection.vendor == "postgresql" else {1}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("table", [ReferralHit, ReferralLink], ids=["hits", "links"])
def test_hit_that_cannot_be_written_still_leads_on(
    world: SimpleNamespace, browser: Browser, table: type[Model], caplog: pytest.LogCaptureFixture
) -> None:
    """L-26, L-27: without a cookie; with the link and the reason in the log, and in metrics"""
    before = counted_as_lost()
    get_links().drop()
    with away(table):
        response = follow(browser, "/x")
    assert (response.status_code, response["Location"], response.cookies) == (302, "/x", {})
    assert Visitor.objects.count() == 0
    (told,) = [record for record in caplog.records if vars(record).get("action") == "hit.lost"]
    assert (told.levelname, vars(told)["reason"]) == ("ERROR", "database")
    assert "'abc123'" in told.getMessage()
    assert counted_as_lost() == before + 1


def counted_as_lost() -> float:
    return REGISTRY.get_sample_value("livereferrals_hits_lost_total", {"reason": "database"}) or 0.0


def test_plain_django_client_follows_all_the_way(world: SimpleNamespace) -> None:
    """L-01: `follow=True` of a host's own tests"""
    response = Client().get("/ref/abc123?next=/page/", follow=True)
    assert response.redirect_chain == [("/page/", 302)]
    assert response.content == b"page"
