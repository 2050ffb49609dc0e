"""Follows that count for nobody, or not twice, over HTTP: prefetches, crawlers, parts of pages, links to links."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django.db import OperationalError, connection
from django.test import override_settings
from django.test.utils import override_script_prefix

from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_link
from tests.tracking.browsers import COOKIE, Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
IN = ["/ref/abc123?next=/x", "/x?affiliate_id=moox6esi", "/x?ref=abc123"]
ways_in = pytest.mark.parametrize("path", IN)


def end_of(browser: Browser, path: str, **options: Any) -> Any:
    """Follow redirects, with the same headers, to the first answer that is none, or to `/x`."""
    for _ in range(5):
        response = browser.get(path, **options)
        if response.status_code != 302:
            return response
        path = response["Location"]
        if path == "/x":
            return response
    raise AssertionError(path)


def events() -> int:
    return Event.objects.filter(type="hit").count()


# --- prefetches -----------------------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize(
    "header",
    [
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"x-purpose": "preview"},
        {"x-moz": "prefetch"},
    ],
    ids=["sec-purpose", "prerender", "purpose", "preview", "x-moz"],
)
def test_prefetch_is_dropped_and_the_click_counts(
    world: SimpleNamespace, browser: Browser, path: str, header: dict[str, str]
) -> None:
    """L-32, P-29, X-17: 503 that nobody keeps, no hit, no cookie; then the real click is the one hit"""
    response = browser.get(path, headers=header)
    assert response.status_code == 503
    assert "no-store" in response["Cache-Control"]
    assert (response.cookies, ReferralHit.objects.count(), Visitor.objects.count()) == ({}, 0, 0)
    end_of(browser, path)
    assert ReferralHit.objects.count() == events() == 1


def test_prefetch_of_other_pages_is_the_hosts(world: SimpleNamespace, browser: Browser) -> None:
    """L-32, P-04, P-31"""
    for path in ("/x", "/x?ref=unknown"):
        assert browser.get(path, headers={"sec-purpose": "prefetch"}).status_code == 200


# --- crawlers -------------------------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize("agent", [GOOGLEBOT, "WhatsApp/2.24.12.78 A", "facebookexternalhit/1.1"])
def test_crawler_is_led_on_without_a_hit(world: SimpleNamespace, browser: Browser, path: str, agent: str) -> None:
    """L-33, P-29, X-17: to the same place, no cookie"""
    response = end_of(browser, path, headers={"user-agent": agent})
    assert (response.status_code, response["Location"], response.cookies) == (302, "/x", {})
    assert (ReferralHit.objects.count(), events(), Visitor.objects.count(), browser.cookie) == (0, 0, 0, None)


@ways_in
@pytest.mark.parametrize("agent", ["", "curl/8.5.0", "python-requests/2.32.3"])
def test_developers_tool_counts(world: SimpleNamespace, browser: Browser, path: str, agent: str) -> None:
    """L-34"""
    end_of(browser, path, headers={"user-agent": agent})
    assert ReferralHit.objects.count() == events() == 1


def test_flagged_crawler_has_a_hit_that_never_counts(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-35: kept for the admin; no event, so that no screen and no feed counts it; never credited"""
    settings.LIVEREFERRALS = {"BOTS": "flag"}
    browser.get("/ref/abc123", headers={"user-agent": GOOGLEBOT})
    hit = ReferralHit.objects.get()
    assert (hit.bot, hit.link, events()) == (True, world.abc123, 0)
    assert browser.get("/referral/").json()["hit"] is None
    browser.get("/ref/qqq777")
    assert not ReferralHit.objects.get(link=world.qqq777).bot
    assert browser.get("/referral/").json()["link"] == "qqq777"


def test_counted_crawler_is_like_anybody(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-35"""
    settings.LIVEREFERRALS = {"BOTS": "count"}
    browser.get("/ref/abc123", headers={"user-agent": GOOGLEBOT})
    assert (ReferralHit.objects.get().bot, events()) == (False, 1)
    assert browser.get("/referral/").json()["link"] == "abc123"


def test_crawlers_of_the_host_are_added(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-33, X-24: `BOT_PATTERNS`, beside the shipped ones, and only as long as it is set"""
    settings.LIVEREFERRALS = {"BOT_PATTERNS": ["shopmonitor"]}
    for agent in ("ShopMonitor/1.0", GOOGLEBOT):
        browser.get("/ref/abc123", headers={"user-agent": agent})
    assert ReferralHit.objects.count() == 0
    settings.LIVEREFERRALS = {}
    browser.get("/ref/abc123", headers={"user-agent": "ShopMonitor/1.0"})
    assert ReferralHit.objects.count() == 1


# --- parts of pages -------------------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize(
    ("destination", "hits"), [("image", 0), ("iframe", 0), ("script", 0), ("document", 1), ("empty", 1)]
)
def test_part_of_a_page_is_no_click(
    world: SimpleNamespace, browser: Browser, path: str, destination: str, hits: int
) -> None:
    """L-36: cookie stuffing"""
    response = end_of(browser, path, headers={"sec-fetch-dest": destination})
    assert response["Location"] == "/x"
    assert ReferralHit.objects.count() == events() == hits
    assert (browser.cookie is None) is (hits == 0)


# --- own links ------------------------------------------------------------------------------------------------------------


@ways_in
def test_own_link_is_marked_and_credited_only_where_that_is_allowed(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """L-37, L-38, P-29, X-26"""
    world.p.user = world.ann
    world.p.save()
    browser.log_in(world.ann)
    end_of(browser, path)
    assert ReferralHit.objects.get().self_referral
    assert browser.get("/referral/").json()["hit"] is None
    settings.LIVEREFERRALS = {"SELF_REFERRALS": "allow"}
    assert browser.get("/referral/").json()["partner"] == "moox6esi"


# --- one click, one hit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "next_",
    [
        "/ref/qqq777",
        "/ref/qqq777/",
        "/ref/unknown",
        "/ref/abc123?next=/y",
        "https://shop.example/ref/qqq777",
        "/x/../ref/qqq777",
        "/x/%2e%2E/ref/qqq777",
        "/r%65f/qqq777",
        "/ref%2Fqqq777",
        "http://other.example/ref/qqq777",
    ],
)
def test_next_that_is_a_links_url_is_the_default(
    world: SimpleNamespace, browser: Browser, settings: Any, next_: str
) -> None:
    """L-50: one hit, and no other link's"""
    settings.LIVEREFERRALS = {"ALLOWED_REDIRECT_HOSTS": ["other.example"]}
    response = browser.get(f"/ref/abc123?next={quote(next_, safe='')}")
    assert response["Location"] == "/"
    assert ReferralHit.objects.get().link == world.abc123


@pytest.mark.parametrize(
    ("next_", "location"),
    [
        ("/x?ref=qqq777", "/x"),
        ("/x?a=1&affiliate_id=zk41pp0q&b=%20+#part", "/x?a=1&b=%20+#part"),
        ("/x?%72ef=qqq777", "/x"),
        ("https://shop.example/x?ref=qqq777&a", "https://shop.example/x?a"),
        ("https://www.shop.example/x?ref=qqq777", "https://www.shop.example/x"),
        ("https://other.example/x?ref=qqq777", "https://other.example/x?ref=qqq777"),
        ("/x?ref=unknown", "/x"),
    ],
)
def test_link_parameter_in_next_is_taken_off(
    world: SimpleNamespace, browser: Browser, settings: Any, next_: str, location: str
) -> None:
    """L-50, L-46: on every host that this project answers by name; elsewhere the word is somebody else's"""
    settings.ALLOWED_HOSTS = [".shop.example", "*"]
    settings.LIVEREFERRALS = {"ALLOWED_REDIRECT_HOSTS": ["www.shop.example", "other.example"]}
    response = browser.get(f"/ref/abc123?next={quote(next_, safe='')}")
    assert response["Location"] == location
    assert ReferralHit.objects.count() == 1


def test_links_that_lead_to_each_other_make_no_circle(world: SimpleNamespace, browser: Browser) -> None:
    """L-50: also by their own targets, which the database may hold from before"""
    make_link(identifier="one", partner=world.p, target="/ref/two")
    make_link(identifier="two", partner=world.p, target="/x?ref=one")
    assert browser.get("/ref/one")["Location"] == "/"
    assert browser.get("/ref/two")["Location"] == "/x"
    assert ReferralHit.objects.count() == 2


@override_settings(ROOT_URLCONF="tests.tracking.language_urls")
@pytest.mark.urls("tests.tracking.language_urls")
def test_link_below_a_language_is_found_in_every_language(world: SimpleNamespace, browser: Browser) -> None:
    """L-50, P-27"""
    assert browser.get("/en-gb/ref/abc123?next=/de/ref/qqq777")["Location"] == "/"
    assert ReferralHit.objects.get().link == world.abc123


def test_second_link_parameter_that_is_unknown_stays(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """P-04, L-50: also where the first goes by way of the link's URL"""
    settings.LIVEREFERRALS = {"PARAMETERS": {"via": "link", "ref": "link"}}
    assert browser.get("/x?via=theirs&ref=abc123")["Location"] == "/x?via=theirs"
    assert ReferralHit.objects.count() == 1


# --- hosts and sub-paths --------------------------------------------------------------------------------------------------


def test_listed_host_is_followed_as_given(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-46: plain http too, of hosts that are listed, and of no others"""
    settings.LIVEREFERRALS = {"ALLOWED_REDIRECT_HOSTS": ["app.example", ".example.org"]}
    for next_ in ("http://app.example/x", "https://app.example/x", "https://a.b.example.org/?ref=mine"):
        assert browser.get(f"/ref/abc123?next={quote(next_)}")["Location"] == next_
    assert browser.get("/ref/abc123?next=http://shop.example/x")["Location"] == "/"


@pytest.mark.parametrize(
    ("default", "location"),
    [
        ("/", "/sub/"),
        ("/welcome/", "/sub/welcome/"),
        ("/sub/welcome/", "/sub/welcome/"),
        ("https://www.example/", "https://www.example/"),
    ],
)
def test_default_is_below_the_sub_path(
    world: SimpleNamespace, kind: str, settings: Any, default: str, location: str
) -> None:
    """L-52: and the cookie is sent there"""
    settings.LIVEREFERRALS = {"DEFAULT_REDIRECT": default}
    settings.FORCE_SCRIPT_NAME = "/sub"
    with override_script_prefix("/sub/"):
        response = Browser(kind).get("/ref/abc123" if kind == "wsgi" else "/sub/ref/abc123")
    assert response["Location"] == location
    assert response.cookies[COOKIE]["path"] == "/"


def test_links_url_below_the_sub_path_is_no_target(world: SimpleNamespace, kind: str, settings: Any) -> None:
    """L-50, L-52"""
    settings.FORCE_SCRIPT_NAME = "/sub"
    with override_script_prefix("/sub/"):
        own = "/ref/abc123" if kind == "wsgi" else "/sub/ref/abc123"
        browser = Browser(kind)
        assert browser.get(f"{own}?next=/sub/ref/qqq777")["Location"] == "/sub/"
        # Outside of the sub-path another program answers.
        assert browser.get(f"{own}?next=/ref/qqq777")["Location"] == "/ref/qqq777"


@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
def test_parameter_is_taken_off_below_the_sub_path(
    world: SimpleNamespace, kind: str, settings: Any, parameter: str
) -> None:
    """L-52, P-21"""
    settings.FORCE_SCRIPT_NAME = "/sub"
    with override_script_prefix("/sub/"):
        browser = Browser(kind)
        location = browser.get(f"{'' if kind == 'wsgi' else '/sub'}/x?a=1&{parameter}")["Location"]
        if parameter.startswith("ref"):
            assert location == "/sub/ref/abc123?next=%2Fsub%2Fx%3Fa%3D1"
            location = browser.get(location.removeprefix("/sub" if kind == "wsgi" else ""))["Location"]
    assert location == "/sub/x?a=1"
    assert ReferralHit.objects.get().entry_url == "/sub/x?a=1"


# --- pages behind a login -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
def test_hit_is_recorded_before_the_login_which_knows_no_parameter(
    world: SimpleNamespace, browser: Browser, settings: Any, parameter: str, everywhere: bool
) -> None:
    """P-30"""
    if everywhere:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    path, seen = f"/buy/?a=1&{parameter}", []
    while (response := browser.get(path)).status_code == 302:
        path = response["Location"]
        seen.append(path)
    assert seen[-2:] == ["/buy/?a=1", "/login/?next=/buy/%3Fa%3D1"]
    assert ReferralHit.objects.count() == 1


# --- paths that are left alone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
def test_excluded_paths_pass(world: SimpleNamespace, browser: Browser, settings: Any, parameter: str) -> None:
    """P-28, X-24: static files and uploads, or what the host names instead"""
    settings.MEDIA_URL = "/media/"
    for path in ("/static/app.css", "/media/a.png"):
        assert browser.get(f"{path}?{parameter}").status_code == 200
    settings.LIVEREFERRALS = {"EXCLUDE_PATHS": ["/api/"]}
    assert browser.get(f"/api/v1?{parameter}").status_code == 200
    assert ReferralHit.objects.count() == 0
    for path in ("/static/app.css", "/apis", "/x/api/"):
        assert browser.get(f"{path}?{parameter}").status_code == 302


def test_places_elsewhere_exclude_nothing(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """P-28: files on another host, and uploads without an address of their own"""
    settings.STATIC_URL, settings.MEDIA_URL = "https://cdn.example/static/", ""
    assert browser.get("/static/app.css?affiliate_id=moox6esi").status_code == 302


# --- old names ------------------------------------------------------------------------------------------------------------


def test_parameters_have_the_names_of_the_older_packages(
    world: SimpleNamespace, browser: Browser, settings: Any
) -> None:
    """P-33: and django-hype's goes by way of the link's URL, as it did"""
    del settings.LIVEREFERRALS
    settings.AFFILIATE_QUERY_STRING_KEY = "partner"
    settings.DJANGO_REFERRALS_SETTINGS = {"URL_PARAM": "from"}
    assert browser.get("/x?partner=moox6esi")["Location"] == "/x"
    assert browser.get("/x?from=abc123")["Location"] == "/ref/abc123?next=%2Fx"
    for passing in ("/x?affiliate_id=moox6esi", "/x?ref=abc123"):
        assert browser.get(passing).status_code == 200
    assert ReferralHit.objects.count() == 1


# --- what is stored -------------------------------------------------------------------------------------------------------


@ways_in
def test_secrets_in_urls_are_followed_and_not_stored(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """Y-09, X-24"""
    secret = "%26token%3Ds3cret" if "next" in path else "&token=s3cret"
    url = path.replace("/x", "/x%3Fa%3D1" if "next" in path else "/x?a=1").replace("1?", "1&") + secret
    referer = {"referer": "https://blog.example/?a=1&email=a@b.example"}
    final = browser.get(url, headers=referer)["Location"]
    if final.startswith("/ref/"):
        final = browser.get(final, headers=referer)["Location"]
    assert final == "/x?a=1&token=s3cret"
    hit = ReferralHit.objects.get()
    assert (hit.entry_url, hit.referer) == ("/x?a=1", "https://blog.example/?a=1")
    settings.LIVEREFERRALS = {"REDACT_PARAMETERS": ["a"]}
    browser.get("/ref/qqq777?next=/x%3Fa%3D1%26token%3D2")
    assert ReferralHit.objects.get(link=world.qqq777).entry_url == "/x?token=2"


# --- a database that is away ----------------------------------------------------------------------------------------------


@contextmanager
def database_away() -> Iterator[None]:
    """Let every statement fail as it does when the server is gone."""

    def fail(*args: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.parametrize("path", ["/ref/abc123?next=/x", "/x?affiliate_id=abc123"])
def test_visitor_is_led_on_when_the_database_is_away(
    world: SimpleNamespace, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """L-27: at the look-up already; 302 without a cookie, and an error with the identifier"""
    with database_away():
        response = Browser("wsgi").get(path)
    assert (response.status_code, response["Location"], response.cookies) == (302, "/x", {})
    (record,) = [each for each in caplog.records if each.name.startswith("livereferrals")]
    assert record.levelname == "ERROR"
    assert "abc123" in record.getMessage()


def test_word_that_may_be_the_hosts_passes_when_the_database_is_away(
    world: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    """L-27, P-04: a reload counts, once the database is back"""
    with database_away():
        response = Browser("wsgi").get("/x?ref=abc123")
    assert (response.status_code, response.cookies) == (200, {})
    assert "abc123" in caplog.text
