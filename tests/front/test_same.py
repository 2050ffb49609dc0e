"""With the front and without: the same answers, header by header, and the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from livereferrals.front.cookies import Seal
from tests.factories import make_hit, make_link, make_user, make_visitor
from tests.front.asking import BROWSER, outcome, scope_of
from tests.tracking.browsers import COOKIE
from tests.tracking.test_fuzz import queries, values

if TYPE_CHECKING:
    from types import SimpleNamespace

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

DJANGOS = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "livereferrals.middleware.ReferralMiddleware",
]
GOOGLEBOT = b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

paths = st.one_of(
    st.sampled_from(["abc123", "abc123/", "qqq777", "moox6esi", "ann1", "house1", "sale", "off", "unknown", "a/b"]).map(
        lambda name: f"/ref/{name}"
    ),
    st.sampled_from(
        ["/x", "/", "/ref", "/ref/", "/static/app.css", "/page/", "/caf%C3%A9/", "/%2F/evil.example", "/%FF"]
    ),
    values.map(lambda value: f"/ref/{value[:60]}"),
)
links = st.sampled_from(["", "ref=abc123", "affiliate_id=moox6esi", "affiliate_id=nobody", "next=/x", "next=/x&sub1=a"])
asked_queries = st.tuples(links, st.one_of(st.just(""), queries)).map(lambda both: "&".join(filter(None, both)))
fields = {
    b"host": st.sampled_from(
        [b"shop.example", b"SHOP.example:443", b"www.shop.example", b"evil.example", b"shop.example:x", b""]
    ),
    b"user-agent": st.sampled_from([BROWSER, GOOGLEBOT, b"curl/8.5.0", b"", b"\xe9\xff" * 400, b"iPhone Mobile"]),
    b"referer": st.sampled_from([b"https://blog.example/?a=1&token=s", b"http://[", b"\xc3\xa9", b"x" * 3000]),
    b"x-forwarded-for": st.sampled_from([b"198.51.100.9", b"1.2.3.4, 2001:db8::1", b"x, y,", b""]),
    b"x-forwarded-proto": st.sampled_from([b"https", b"http", b"https,http", b""]),
    b"x-forwarded-host": st.sampled_from([b"shop.example", b"evil.example"]),
    b"sec-fetch-dest": st.sampled_from([b"document", b"image", b"IFRAME ", b""]),
    b"sec-purpose": st.sampled_from([b"prefetch;prerender", b"other", b""]),
    b"purpose": st.just(b"prefetch"),
    b"sec-gpc": st.sampled_from([b"1", b"0"]),
    b"authorization": st.just(b"Bearer abc"),
    b"x-moz": st.just(b"prefetch"),
    b"user_agent": st.just(GOOGLEBOT),
    b"content-length": st.just(b"0"),
    b"accept-language": st.just(b"de"),
}
cookies = st.sampled_from(["", "a=b", "{own}", "a=b; {own}", "{claimed}", "{gone}", "{forged}", "sessionid=x; {own}",
                           "sessionid=x", "django-hype__rk=x", "{own}; livereferrals_visitor=x", "=; ;x"])  # fmt: skip
own_settings = st.sampled_from(
    [
        {},
        {"BOTS": "flag"},
        {"BOTS": "count"},
        {"SCREENING": {"office": "tests.tracking.test_judging.is_office", "embedded": None}},
        {"SCREENING": {"bot": "tests.tracking.test_judging.is_our_own", "prefetch": None}, "BOTS": "flag"},
        {"SCREENING": {"repeat": None, "busy": "tests.tracking.test_judging.says_yes"}},
        {"IP": "full", "TRUSTED_PROXIES": 1},
        {"DEFAULT_REDIRECT": "/welcome/é"},
        {"PARAMETER_HOPS": {}},
        {"PARAMETERS": {"ref": "link", "sub1": "link", "affiliate_id": "partner", "a": "partner"}},
        {"COOKIE_SECURE": True, "COOKIE_DOMAIN": "shop.example", "COOKIE_SAMESITE": "None"},
        {"COOKIE_SECURE": False, "COOKIE_HTTPONLY": False, "COOKIE_PATH": "/x", "COOKIE_MAX_AGE": 60},
        {"RESPECT_GPC": True},
        {"VISITOR_CARRIER": "session"},
        {"EXCLUDE_PATHS": ["/x"]},
        {"ALLOWED_REDIRECT_HOSTS": ["evil.example"], "MAX_NEXT_LENGTH": 30},
        {"REPEAT_WINDOW": 1, "REDACT_PARAMETERS": ["a"]},
    ]
)
hosts_settings = st.sampled_from(
    [
        {},
        {"MIDDLEWARE": DJANGOS},
        {"MIDDLEWARE": DJANGOS, "SECURE_HSTS_SECONDS": 60, "SECURE_REFERRER_POLICY": "origin,strict-origin"},
        {"MIDDLEWARE": DJANGOS, "SECURE_SSL_REDIRECT": True},
        {"MIDDLEWARE": ["django.middleware.common.CommonMiddleware", DJANGOS[-1]]},
        {"MIDDLEWARE": DJANGOS[:-1]},
        {"ALLOWED_HOSTS": [".shop.example"], "PREPEND_WWW": True},
        {"USE_X_FORWARDED_HOST": True, "ALLOWED_HOSTS": ["shop.example"]},
        {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
        {"FORCE_SCRIPT_NAME": "/ref"},
        {"APPEND_SLASH": False, "SESSION_COOKIE_NAME": "a"},
    ]
)


@pytest.fixture
def carried(world: SimpleNamespace) -> dict[str, str]:
    """Cookies of browsers that have been here."""
    make_link(identifier="sale", partner=world.p, target="/sale/?ref=x&a=é")
    make_link(identifier="off", partner=world.p, disabled=True, target="/off/")
    own, claimed, gone = make_visitor(), make_visitor(user=make_user()), make_visitor()
    make_hit(link=world.abc123, visitor=own)
    signed = {"own": own, "claimed": claimed, "gone": gone}
    found = {name: f"{COOKIE}={Seal().sealed(visitor.pk).decode()}" for name, visitor in signed.items()}
    gone.delete()
    return found | {"forged": f"{COOKIE}={own.pk}"}


# Few at a time, so that most requests are ones that the front may answer.
headers = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({b"host": st.just(b"shop.example")} | {name: fields[name] for name in names})
)


@settings(
    max_examples=120,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=paths,
    query=asked_queries,
    headers=headers,
    cookie=cookies,
    own=st.one_of(st.just({}), own_settings),
    host=st.one_of(st.just({}), hosts_settings),
    scheme=st.sampled_from(["https", "http"]),
    client=st.sampled_from([("203.0.113.77", 1), ("2001:db8::7", 1), ("", 0), None]),
)
def test_answers_and_rows_are_those_of_view_and_middleware(
    carried: dict[str, str],
    path: str,
    query: str,
    headers: dict[bytes, bytes],
    cookie: str,
    own: dict[str, Any],
    host: dict[str, Any],
    scheme: str,
    client: Any,
) -> None:
    """L-01, L-02, L-30, P-10, P-21, V-01, V-13: whatever is asked, under whatever settings"""
    sent = headers | ({b"cookie": cookie.format(**carried).encode()} if cookie else {})
    scope = scope_of(f"{path}?{query}", sent.items(), scheme=scheme, client=client)
    with override_settings(LIVEREFERRALS=own, **host):
        slow, _ = outcome(scope, fast=False)
        fast, by_front = outcome(scope, fast=True)
    # With `CommonMiddleware` Django sends it too; the front always does.
    if by_front:
        slow.headers.setdefault("Content-Length", "0")
    event(f"by the front: {by_front}, {fast.status}, hits: {len(fast.hits)}")
    assert fast == slow
