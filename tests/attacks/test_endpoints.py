"""Every HTTP endpoint of ours, found in the URL configuration, is asked whatever comes to mind, by everybody who may come.

No exception leaves a view (the test clients raise what a server would answer with 500), nobody is sent to another site, and
no page of the dashboard comes without its headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.attacks.payloads import HOSTILE
from tests.dashboard import house
from tests.factories import make_staff
from tests.tracking.browsers import AsgiClient, FrontHandler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.house import House

pytestmark = pytest.mark.django_db
HOST = "testserver"
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
METHODS = ("GET", "GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
NAMES = ("q", "p", "o", "e", "all", "next", "after", "before", "sort", "partner", "link", "day", "range", "from", "to", "mark",
         "state", "trigger", "type", "device", "flag", "claimed", "_popup", "_to_field", "_changelist_filters", "action",
         "index", "_selected_action", "ref", "affiliate_id", "sub1", "click_id", "cursor", "since", "types", "links",
         "limit", "wait", "on_gap", "token", "ticket", "csrfmiddlewaretoken", "cur", "page", "format", "url", "uid",
         "callback_url", "subject", "confirm", "amount", "reason", "note", "name", "user", "visitor")  # fmt: skip
DASHBOARDS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
EXAMPLES = settings(
    phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def routes() -> list[str]:
    """Return every route of ours, with its parameters still in it: links, dashboard, feed and our part of the admin."""
    return sorted({route for route, view in _walk(get_resolver(), "") if _is_ours(route, view)})


def _walk(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


def _is_ours(route: str, view: Any) -> bool:
    return view.__module__.startswith("livereferrals") or route.startswith("admin/livereferrals/")


ROUTES = routes()
routed = st.sampled_from(ROUTES)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20), st.integers().map(str))
pairs = st.lists(st.tuples(st.sampled_from(NAMES), texts), max_size=4)
bodies = st.one_of(
    pairs.map(lambda said: ("application/x-www-form-urlencoded", written(said).encode())),
    pairs.map(lambda said: ("application/x-www-form-urlencoded", written([*said, ("confirm", "on")]).encode())),
    st.tuples(
        st.sampled_from(
            ["application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain", ";"]
        ),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"[" * 3000, b'{"a":1}', b"--x\r\n\r\n", b"\xff\xfe\x00"])),
    ),
)
headers = st.dictionaries(
    st.sampled_from(
        [
            "HX-Request",
            "HX-Current-URL",
            "HX-Boosted",
            "HX-History-Restore-Request",
            "Accept-Language",
            "Referer",
            "User-Agent",
            "X-Forwarded-For",
            "Origin",
            "If-None-Match",
            "Last-Event-ID",
            "Authorization",
            "Cookie",
            "Range",
            "Accept",
            "Sec-Fetch-Dest",
            "X-Forwarded-Host",
        ]
    ),
    st.one_of(
        st.sampled_from(["true", "1", "de", "xx-evil", "Bearer lrf_a_b", "Bearer ", "https://evil.example/", "image"]),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30),
    ),
    max_size=3,
)


def written(said: list[tuple[str, str]]) -> str:
    """Return names and values as a query, or as a form's body."""
    return "&".join(f"{quote(name)}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}" for name, value in said)


class Asker:
    """Everybody who may come, and what the parameters of routes may stand for."""

    def __init__(self, world: House) -> None:
        self.clients = {name: Client(raise_request_exception=True) for name in ("anonymous", "partner", "staff")}
        self.clients["partner"].force_login(world.login)
        self.clients["staff"].force_login(make_staff(username="asker"))
        self.known: dict[str, list[str]] = {
            "livereferrals_dashboard": [
                str(side.subject(kind))
                for side in (world.own, world.foreign)
                for kind in ("partner", "link", "visitor", "confirmation", "delivery", "endpoint", "token")
            ],
        }
        self.known["subject"] = self.known.pop("livereferrals_dashboard")
        self.known["act"] = ["retry", "resend", "cancel", "test", "pause", "enable", "replay"]
        self.known["identifier"] = [world.own.link.identifier, world.foreign.link.identifier, "unknown"]
        self.known["object_id"] = [
            str(model._default_manager.values_list("pk", flat=True).first())
            for model in admin.site._registry
            if model._meta.app_label == "livereferrals" and model._default_manager.exists()
        ]

    def path(self, route: str, choice: int, junk: str) -> str:
        """Fill the route: with something that there is, mostly of another kind, or with what is written."""

        def fill(match: re.Match[str]) -> str:
            known = self.known.get(match[2], self.known["object_id"])
            return quote(known[choice % len(known)] if choice % 4 else junk, safe="")

        return "/" + PARAMETER.sub(fill, re.sub(r"[\^$\\]|\(\?P<.*?\)|\)", "", route))


@pytest.fixture
def asker(db: None, settings: Any) -> Asker:
    return Asker(house.build(settings))


async def asked(client: AsgiClient, method: str, path: str, sent: dict[str, str]) -> Any:
    """Send a request to an ASGI application, and return its answer."""
    return await client.generic(method, path, headers=sent)


def end(response: Any) -> None:
    """Read a stream to its end; errors in it would come after the headers."""
    if response.streaming and not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        for _ in response:
            pass


def check(response: Any, path: str) -> None:
    assert response.status_code < 500 or response.status_code in (501, 503), (path, response.status_code)
    location = response.headers.get("Location", "")
    assert urlsplit(location).netloc in ("", HOST), (path, location)
    assert not location.startswith(("//", "/\\", "\\")), (path, location)
    assert not any(mark in f"{name}{value}" for name, value in response.headers.items() for mark in "\r\n\0")
    if path.startswith("/referrals/") and "/feed/" not in path and response.status_code < 400:
        for name, value in DASHBOARDS.items():
            assert response.headers.get(name) == value, (path, name, response.status_code)
        assert "default-src 'none'" in response.headers["Content-Security-Policy"], path


def test_routes_are_found() -> None:
    """O-08: links, the dashboard, the feed and each kind of page of the admin"""
    found = " ".join(ROUTES)
    for part in ("ref/<str:identifier>", "referrals/hits/export.csv", "referrals/feed/v1/poll", "admin/livereferrals/partner/",
                 "<path:object_id>/change/", "<slug:act>"):  # fmt: skip
        assert part in found
    assert len(ROUTES) > 100


@settings(EXAMPLES, max_examples=150)
@example(route="referrals/hits/", who="staff", method="GET", said=[("q", "\0"), ("partner", "\0")], body=("", b""),
         sent={}, choice=1, junk="x", is_htmx=False)  # fmt: skip
@example(route="ref/<str:identifier>", who="anonymous", method="GET", said=[("next", "\0"), ("sub1", "\ud800")], body=("", b""),
         sent={}, choice=0, junk="\0", is_htmx=False)  # fmt: skip
@given(
    route=routed,
    who=st.sampled_from(["anonymous", "partner", "staff", "staff"]),
    method=st.sampled_from(METHODS),
    said=pairs,
    body=bodies,
    sent=headers,
    choice=st.integers(0, 200),
    junk=texts,
    is_htmx=st.booleans(),
)
def test_no_request_ends_in_an_error_or_on_another_site(
    asker: Asker,
    route: str,
    who: str,
    method: str,
    said: list[tuple[str, str]],
    body: tuple[str, bytes],
    sent: dict[str, str],
    choice: int,
    junk: str,
    is_htmx: bool,
) -> None:
    """L-20, L-41, X-14, dashboard-38: by WSGI; what is changed is taken back after each request"""
    path = asker.path(route, choice, junk)
    with transaction.atomic():
        response = asker.clients[who].generic(
            method,
            f"{path}?{written(said)}",
            body[1] if method in ("POST", "PUT", "PATCH") else b"",
            content_type=body[0] or "text/plain",
            headers=sent | ({"HX-Request": "true"} if is_htmx else {}),
        )
        check(response, path)
        end(response)
        transaction.set_rollback(True)


def test_no_parameter_of_any_address_leads_to_another_site(asker: Asker) -> None:
    """L-41, P-26: under each name that programs have for where to go next"""
    elsewhere = (
        "//evil.example/x",
        "/\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "\t//evil.example",
    )
    for route in ROUTES:
        if route.startswith("admin/"):
            continue
        path = asker.path(route, 1, "")
        for target in elsewhere:
            query = written(
                [(name, target) for name in ("next", "url", "back", "return", "redirect", "r", "ref", "to")]
            )
            with transaction.atomic():
                check(asker.clients["staff"].get(f"{path}?{query}"), path)
                transaction.set_rollback(True)


@settings(EXAMPLES, max_examples=60)
@example(
    route="ref/<str:identifier>", method="GET", said=[("next", "\ud800"), ("sub1", "\0")], sent={}, choice=1, junk="x"
)
@example(route="page/", method="GET", said=[("ref", "\ud800"), ("affiliate_id", "\0")], sent={}, choice=1, junk="x")
@given(
    route=st.sampled_from([each for each in ROUTES if not each.startswith("admin/")] + ["", "page/", "<str:any>"]),
    method=st.sampled_from(METHODS),
    said=pairs,
    sent=headers,
    choice=st.integers(0, 200),
    junk=texts,
)
def test_no_request_to_the_asgi_application_does_either(
    asker: Asker, route: str, method: str, said: list[tuple[str, str]], sent: dict[str, str], choice: int, junk: str
) -> None:
    """L-20, L-41, P-26: the front first, and Django for what it leaves"""
    client = AsgiClient(raise_request_exception=True, host=HOST)
    client.handler = FrontHandler(enforce_csrf_checks=False)
    path = asker.path(route, choice, junk)
    with transaction.atomic():
        response = async_to_sync(asked)(client, method, f"{path}?{written(said)}", sent)
        check(response, path)
        transaction.set_rollback(True)
