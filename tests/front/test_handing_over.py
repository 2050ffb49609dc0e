"""What the front leaves to Django: everything that it does not wholly understand, untouched."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings

from livereferrals.front import asking, front, places, screens, terms
from livereferrals.tracking.models import ReferralHit
from tests.front.asking import BROWSER, PLAIN, scope_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls"), pytest.mark.usefixtures("world")]

LINK, PARAMETER = "/ref/abc123?next=/x", "/x?affiliate_id=moox6esi"
ways_in = pytest.mark.parametrize("target", [LINK, PARAMETER, "/x?ref=abc123"])
HERE = "tests.front.test_handing_over"


def is_answered(target: str = LINK, headers: Any = PLAIN, **overrides: Any) -> bool:
    """Whether the front answers; what it hands over it has not touched."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = scope_of(target, headers, **overrides)
    before = {name: list(value) if isinstance(value, list) else value for name, value in scope.items()}
    hits = ReferralHit.objects.count()
    answered = async_to_sync(front.answered)(scope, send)
    assert scope == before
    assert bool(sent) is answered
    assert answered or ReferralHit.objects.count() == hits
    return answered


def agrees(request: object) -> bool:
    """A hook of the host's."""
    return True


@ways_in
def test_browser_that_is_not_logged_in_is_answered(target: str) -> None:
    """P-34"""
    assert is_answered(target)


@ways_in
@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_are_djangos(target: str, method: str) -> None:
    """L-30, L-31, P-20"""
    assert not is_answered(target, method=method)


@ways_in
@pytest.mark.parametrize(
    "header",
    [
        (b"cookie", b"sessionid=abc"),
        (b"cookie", b"a=b; sessionid=abc; c=d"),
        (b"cookie", b"django-hype__rk=11111111-1111-4111-8111-111111111111"),
        (b"authorization", b"Bearer abc"),
        (b"content-length", b"3"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h2c"),
        (b"user-agent", b"another one"),
        (b"host", b"shop.example"),
    ],
    ids=lambda header: "=".join(part.decode()[:20] for part in header),
)
def test_requests_that_say_more_than_the_front_judges_are_djangos(target: str, header: tuple[bytes, bytes]) -> None:
    """L-37, C-18, P-29: somebody who may be logged in, a body, a header that is there twice"""
    assert not is_answered(target, [*PLAIN, header])


DJANGOS: dict[str, dict[str, Any]] = {
    "off": {"LIVEREFERRALS": {"FAST_LINKS": False}},
    "session carrier": {"LIVEREFERRALS": {"VISITOR_CARRIER": "session"}},
    "consent": {"LIVEREFERRALS": {"CONSENT": f"{HERE}.agrees"}},
    "client ip": {"LIVEREFERRALS": {"CLIENT_IP": f"{HERE}.agrees"}},
    "objection": {"LIVEREFERRALS": {"RESPECT_GPC": True}},
    "bad cookie": {"LIVEREFERRALS": {"COOKIE_NAME": "a b"}},
    "bad setting": {"LIVEREFERRALS": {"COOKIE_SAMESITE": "nonsense"}},
    "host": {"ALLOWED_HOSTS": ["other.example"]},
    "www": {"PREPEND_WWW": True},
    "agents": {"DISALLOWED_USER_AGENTS": [re.compile("Googlebot")]},
    "no header": {"SECURE_PROXY_SSL_HEADER": ("wsgi.url_scheme", "https")},
    "translated": {"ROOT_URLCONF": "tests.front.translated_urls"},
    "below a language": {"ROOT_URLCONF": "tests.tracking.language_urls"},
    "name of the session": {"SESSION_COOKIE_NAME": "mine"},
}


@ways_in
@pytest.mark.parametrize("what", DJANGOS)
def test_what_only_django_can_judge_under_these_settings_is_djangos(target: str, what: str) -> None:
    """V-07, V-13, V-14, V-16, L-53, S-10: as long as they are in force"""
    headers = [*PLAIN, (b"cookie", b"mine=x"), (b"sec-gpc", b"1")]
    assert is_answered("/ref/unknown", headers)
    with override_settings(**DJANGOS[what]):
        assert not is_answered(target, headers)
    assert is_answered("/ref/unknown", headers)


def test_plain_request_that_django_redirects_to_tls_is_djangos() -> None:
    """L-01: `SECURE_SSL_REDIRECT`, with TLS as Django judges it"""
    middleware = ["django.middleware.security.SecurityMiddleware", "livereferrals.middleware.ReferralMiddleware"]
    with override_settings(MIDDLEWARE=middleware, SECURE_SSL_REDIRECT=True):
        assert not is_answered(scheme="http")
        assert is_answered(scheme="https")


def test_parameters_are_caught_only_where_the_middleware_is() -> None:
    """P-20: and by a class derived from it as the host has written it"""
    for middleware in ([], ["django.middleware.common.CommonMiddleware", f"{HERE}.OwnMiddleware"]):
        with override_settings(MIDDLEWARE=middleware):
            assert not is_answered(PARAMETER)
            assert is_answered(LINK)


@pytest.mark.parametrize("target", ["/x", "/x?a=1", "/x?q=ref", "/x?my_affiliate_id=1", "/x?ref=unknown", "/x?ref=%00"])
def test_pages_without_a_link_parameter_are_the_hosts(target: str) -> None:
    """P-04, P-23, P-31"""
    assert not is_answered(target)


@pytest.mark.parametrize("target", ["/ref/abc123?next=/\xe9", "/x?affiliate_id=moox6esi&a=\xff"])
def test_query_that_is_not_escaped_is_djangos(target: str) -> None:
    """L-47: it answers 400 to what is no UTF-8"""
    assert not is_answered(target)


def test_paths_below_the_links_that_are_the_hosts_stay_its_own() -> None:
    """L-01, L-06, L-20: a page of the host's before them, the view in a wrapper, deeper paths"""
    with override_settings(ROOT_URLCONF="tests.front.host_urls"):
        for path in ("/ref/about", "/ref/wrapped", "/ref/deep/abc123", "/ref/", "/ref/a/b", "/ref", "/second/abc123"):
            assert not is_answered(path), path
        assert not is_answered("/second/abc123?ref=qqq777")
        for path in ("/ref/abc123", "/ref/abc123/", "/ref/unknown"):
            assert is_answered(path), path


def test_without_links_urls_parameters_are_still_answered() -> None:
    """P-03"""
    with override_settings(ROOT_URLCONF="tests.tracking.bare_urls"):
        assert is_answered("/x?ref=abc123")
        assert not is_answered("/ref/abc123")


def test_why_django_answers_all_links_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """O-12"""
    with caplog.at_level(logging.INFO, "livereferrals.front"), override_settings(LIVEREFERRALS={"FAST_LINKS": False}):
        for _ in range(3):
            is_answered()
    assert [record.getMessage() for record in caplog.records] == ["Django answers all links: FAST_LINKS is off."]


def test_memory_of_what_was_judged_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """L-20: a scanner that tries names, hosts and agents fills nothing"""
    for module in (asking, places, screens, terms):
        monkeypatch.setattr(module, "MOST_KEPT", 10)
    with override_settings(LIVEREFERRALS={}):
        for number in range(1, 30):
            headers = [(b"host", b"%d.example" % number), (b"user-agent", b"%d" % number + BROWSER)]
            assert is_answered(f"/ref/abc{number}?next=/ref/{number}&ref=x", headers)
            assert is_answered(f"/ref/abc123?next=/{number}", headers)
        judged = terms.terms_for(scope_of(LINK))
        assert judged is not None
        kept = (judged.screen._bots, judged._targets, judged.reading._hosts, judged.places._identifiers)
        assert [0 < len(each) <= 10 for each in kept] == [True] * len(kept)
