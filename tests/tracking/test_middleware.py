from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import iscoroutinefunction
from asgiref.testing import ApplicationCommunicator
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.test.utils import override_script_prefix

from livereferrals.events.models import Event
from livereferrals.middleware import ReferralMiddleware
from livereferrals.tracking.current import current_request
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.tracking import urls
from tests.tracking.browsers import Browser, Statements

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

    from django.http import HttpRequest
    from pytest_django import DjangoAssertNumQueries

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]


@pytest.fixture(autouse=True)
def _ran() -> Iterator[None]:
    urls.ran.clear()
    yield
    urls.ran.clear()


def chain(browser: Browser, path: str, *, most: int = 5) -> tuple[list[str], Any]:
    """Follow redirects as a browser does; return where they led and the last answer."""
    locations: list[str] = []
    response = browser.get(path)
    while response.status_code == 302:
        locations.append(response["Location"])
        assert len(locations) <= most
        response = browser.get(response["Location"])
    return locations, response


def hits() -> int:
    assert ReferralHit.objects.count() == Event.objects.filter(type="hit").count()
    return ReferralHit.objects.count()


# --- ?ref= ----------------------------------------------------------------------------------------------------------------


def test_ref_goes_by_way_of_the_link_and_ends_at_the_clean_url(world: SimpleNamespace, browser: Browser) -> None:
    """P-01"""
    locations, response = chain(browser, "/accounts/signup/?ref=abc123")
    assert locations == ["/ref/abc123?next=%2Faccounts%2Fsignup%2F", "/accounts/signup/"]
    assert response.status_code == 200
    assert response.json()["path"] == "/accounts/signup/"
    assert hits() == 1
    assert ReferralHit.objects.get().link == world.abc123
    assert urls.ran == ["/accounts/signup/"]


def test_ref_can_be_one_redirect(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """P-02"""
    settings.LIVEREFERRALS = {"PARAMETER_HOPS": {"ref": "direct"}}
    response = browser.get("/accounts/signup/?ref=abc123")
    assert (response.status_code, response["Location"], hits()) == (302, "/accounts/signup/", 1)
    assert browser.carried is not None


@pytest.mark.urls("tests.tracking.bare_urls")
def test_ref_is_one_redirect_where_the_link_url_is_not_included(world: SimpleNamespace, browser: Browser) -> None:
    """P-03"""
    locations, response = chain(browser, "/accounts/signup/?ref=abc123")
    assert (locations, response.status_code, hits()) == (["/accounts/signup/"], 200, 1)


@pytest.mark.parametrize("value", ["unknown", "ABC123", "", "%00", "a%20b", "x" * 9000, "%FF"])
def test_unknown_ref_passes_with_the_parameter_in_place(world: SimpleNamespace, browser: Browser, value: str) -> None:
    """P-04"""
    response = browser.get(f"/x?a=1&ref={value}")
    assert response.status_code == 200
    assert response.json()["path"] == f"/x?a=1&ref={value}"
    assert (hits(), browser.cookie) == (0, None)


@pytest.mark.parametrize("what", ["disabled", "inactive"])
def test_ref_of_a_link_that_does_not_count_is_only_taken_off(
    world: SimpleNamespace, browser: Browser, what: str
) -> None:
    """P-05"""
    world.abc123.disabled = what == "disabled"
    world.abc123.save()
    world.p.active = what != "inactive"
    world.p.save()
    locations, response = chain(browser, "/x?ref=abc123&a=1", most=2)
    assert locations[-1] == "/x?a=1"
    assert (response.status_code, hits(), browser.cookie) == (200, 0, None)


def test_partners_uid_is_a_ref_too(world: SimpleNamespace, browser: Browser) -> None:
    """P-06"""
    locations, _ = chain(browser, "/x?ref=moox6esi")
    assert locations == ["/ref/moox6esi?next=%2Fx", "/x"]
    assert ReferralHit.objects.get().link.home


def test_ref_with_a_url_too_long_for_next_is_one_redirect(world: SimpleNamespace, browser: Browser) -> None:
    """P-01, L-49: the visitor ends where the link was"""
    long = "/x?" + "a" * 9000
    locations, _ = chain(browser, f"{long}&ref=abc123")
    assert locations == [long]
    assert hits() == 1


# --- ?affiliate_id= -------------------------------------------------------------------------------------------------------


def test_affiliate_id_is_one_redirect_with_the_hit_and_the_cookie(world: SimpleNamespace, browser: Browser) -> None:
    """P-10"""
    response = browser.get("/x?affiliate_id=moox6esi")
    assert (response.status_code, response["Location"], response.content) == (302, "/x", b"")
    hit = ReferralHit.objects.get()
    assert (hit.link, hit.entry_url) == (world.p.links.get(home=True), "/x")
    assert browser.carried is not None
    assert browser.carried.id == hit.visitor_id
    assert hits() == 1


@pytest.mark.parametrize("value", ["unknown1", "", "%00", "x" * 9000, "MOOX6ESI", "abc123"])
def test_affiliate_id_that_names_no_partner_is_only_taken_off(
    world: SimpleNamespace, browser: Browser, value: str
) -> None:
    """P-11, P-12"""
    response = browser.get(f"/x?affiliate_id={value}&a=1")
    assert (response.status_code, response["Location"], response.cookies, hits()) == (302, "/x?a=1", {}, 0)


def test_affiliate_id_of_an_inactive_partner_is_only_taken_off(world: SimpleNamespace, browser: Browser) -> None:
    """P-11"""
    world.p.active = False
    world.p.save()
    response = browser.get("/x?affiliate_id=moox6esi")
    assert (response.status_code, response["Location"], response.cookies, hits()) == (302, "/x", {}, 0)


def test_affiliate_id_without_a_value_is_taken_off(world: SimpleNamespace, browser: Browser) -> None:
    """P-11, X-32"""
    assert browser.get("/x?affiliate_id")["Location"] == "/x"


def test_view_runs_once_and_only_for_the_clean_url(world: SimpleNamespace, browser: Browser) -> None:
    """P-13"""
    chain(browser, "/x?affiliate_id=moox6esi&a=1")
    assert urls.ran == ["/x?a=1"]


# --- both -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
@pytest.mark.parametrize("parameter", ["affiliate_id=moox6esi", "ref=abc123"])
def test_only_get_is_caught(world: SimpleNamespace, browser: Browser, method: str, parameter: str) -> None:
    """P-20"""
    response = browser.request(method, f"/x?{parameter}")
    assert response.status_code == 200
    assert urls.ran == [f"/x?{parameter}"]
    assert (hits(), browser.cookie) == (0, None)


def test_post_keeps_its_body_and_files(world: SimpleNamespace, browser: Browser) -> None:
    """P-20"""
    upload = SimpleUploadedFile("a.txt", b"the file")
    response = browser.post("/x?affiliate_id=moox6esi", data={"a": "1", "file": upload})
    assert "the file" in response.json()["body"]
    assert response.json()["path"] == "/x?affiliate_id=moox6esi"


@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/x?b=2&{}&a=1&a=&b=%20+%2f&c", "/x?b=2&a=1&a=&b=%20+%2f&c"),
        ("/x?{}", "/x"),
        ("/x?{}&{}", "/x"),
        ("/x?{}&&a", "/x?&a"),
        ("/x?a=1&a=2&{}", "/x?a=1&a=2"),
        ("/x?q=%C3%A9%FF&{}", "/x?q=%C3%A9%FF"),
        ("/x?next=%2Fy&{}", "/x?next=%2Fy"),
        ("/a%3Fb/%23c?{}", "/a%3Fb/%23c"),
        ("/caf%C3%A9/?{}", "/caf%C3%A9/"),
    ],
)
def test_everything_else_stays_byte_for_byte(
    world: SimpleNamespace, browser: Browser, parameter: str, before: str, after: str
) -> None:
    """P-21, X-15, X-16"""
    locations, _ = chain(browser, before.replace("{}", parameter))
    assert locations[-1] == after
    assert hits() == 1


def test_name_is_the_whole_parameter_name(world: SimpleNamespace, browser: Browser) -> None:
    """P-23"""
    for path in ("/affiliate_id/x", "/x?my_affiliate_id=1", "/x?q=affiliate_id", "/x?Ref=abc123"):
        assert browser.get(path).status_code == 200
    assert browser.get("/x?%72ef=abc123").status_code == 302


def test_of_several_values_the_last_is_used_and_all_are_taken_off(world: SimpleNamespace, browser: Browser) -> None:
    """P-24"""
    locations, _ = chain(browser, "/x?ref=qqq777&a=1&ref=abc123")
    assert locations == ["/ref/abc123?next=%2Fx%3Fa%3D1", "/x?a=1"]
    assert ReferralHit.objects.get().link == world.abc123


def test_both_parameters_are_one_hit(world: SimpleNamespace, browser: Browser) -> None:
    """P-25"""
    locations, _ = chain(browser, "/x?affiliate_id=moox6esi&ref=qqq777")
    assert locations[-1] == "/x"
    assert ReferralHit.objects.get().link == world.qqq777
    locations, _ = chain(browser, "/x?affiliate_id=moox6esi&ref=unknown")
    assert locations == ["/x?ref=unknown"]
    assert hits() == 2


@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/%2Fevil.example/x", "/%2Fevil.example/x"),
        ("/%2F%2Fevil.example", "/%2F%2Fevil.example"),
        ("/%5Cevil.example/x", "/%5Cevil.example/x"),
    ],
)
def test_path_that_looks_like_another_host_stays_on_this_one(
    world: SimpleNamespace, browser: Browser, parameter: str, path: str, clean: str
) -> None:
    """P-26: to Django such a path begins with two slashes, or a slash and a backslash"""
    locations, _ = chain(browser, f"{path}?{parameter}")
    # WSGI cannot tell an escaped slash after the second one from a plain one.
    assert locations[-1] in {clean, clean.replace("/%2F%2F", "/%2F/")}
    assert hits() == 1


async def test_two_raw_slashes_at_the_start_stay_on_this_host(transactional_db: None) -> None:
    """P-26: as a client sends them"""
    for raw in (b"//evil.example/x", b"/\\evil.example/x"):
        scope = asgi_scope(raw.decode(), query=b"affiliate_id=unknown1") | {"raw_path": raw}
        assert (await asgi_headers(scope))[b"location"] in {b"/%2Fevil.example/x", b"/%5Cevil.example/x"}


async def test_path_that_a_middleware_has_changed_is_the_one_that_counts(transactional_db: None) -> None:
    """P-26, X-16: a raw path that is not the request's, or that no server told, is left aside"""
    for raw in (b"/other", b"", None):
        scope = asgi_scope("/a?b/é", query=b"affiliate_id=unknown1") | {"raw_path": raw}
        assert (await asgi_headers(scope))[b"location"] == b"/a%3Fb/%C3%A9"


@pytest.mark.urls("tests.urls")
def test_parameter_is_taken_off_where_no_view_is(world: SimpleNamespace, browser: Browser) -> None:
    """P-10: what then answers 404 is the clean URL"""
    locations, response = chain(browser, "/no/such/page/?affiliate_id=moox6esi")
    assert (locations, response.status_code, hits()) == (["/no/such/page/"], 404, 1)


def test_parameter_means_nothing_on_the_link_url(world: SimpleNamespace, browser: Browser) -> None:
    """P-27"""
    response = browser.get("/ref/abc123?ref=qqq777&next=/x")
    assert response["Location"] == "/x"
    assert ReferralHit.objects.get().link == world.abc123
    browser.get("/ref/abc123?affiliate_id=zk41pp0q")
    assert hits() == 2


@pytest.mark.parametrize("path", ["/", "/x?a=1", "/async/", "/unknown/?q=ref"])
def test_page_without_parameter_costs_nothing(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """P-31"""
    plain = browser.get(path)
    assert plain.cookies == {}
    assert "Vary" not in plain
    browser.get("/ref/abc123")
    with Statements() as statements:
        response = browser.get(path)
    assert statements.made == []
    assert response.cookies == {}
    assert response.headers == plain.headers


def test_other_names_can_be_configured(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """P-32, P-33"""
    settings.LIVEREFERRALS = {"PARAMETERS": {"via": "link", "partner": "partner"}}
    assert browser.get("/x?via=abc123")["Location"] == "/x"
    assert browser.get("/x?partner=moox6esi")["Location"] == "/x"
    assert browser.get("/x?ref=abc123").status_code == 200
    assert hits() == 2


@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
def test_own_ids_beside_a_parameter_are_kept_and_stay(world: SimpleNamespace, browser: Browser, parameter: str) -> None:
    """P-35"""
    locations, _ = chain(browser, f"/x?sub1=a%26b&{parameter}&click_id=c")
    assert locations[-1] == "/x?sub1=a%26b&click_id=c"
    hit = ReferralHit.objects.get()
    assert (hit.sub1, hit.sub2, hit.click_id) == ("a&b", "", "c")
    assert browser.get("/x?sub1=a").status_code == 200


def test_own_ids_in_the_next_url_of_a_link_are_not_taken_for_the_links(
    world: SimpleNamespace, browser: Browser
) -> None:
    """L-13"""
    browser.get("/ref/abc123?next=/x%3Fsub1%3Da")
    assert ReferralHit.objects.get().sub1 == ""


@pytest.mark.parametrize("parameter", ["ref=abc123", "affiliate_id=moox6esi"])
def test_parameters_work_behind_a_sub_path(world: SimpleNamespace, parameter: str) -> None:
    """L-52"""
    with override_script_prefix("/sub/"):
        response = Browser("wsgi").get(f"/x?{parameter}", SCRIPT_NAME="/sub")
    expected = "/ref/abc123?next=%2Fsub%2Fx" if parameter.startswith("ref") else "/x"
    assert response["Location"] == f"/sub{expected}"


# --- the current request, and the two worlds ------------------------------------------------------------------------------


def test_middleware_is_async_only_where_the_handler_is() -> None:
    """P-34"""

    def sync(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    async def asynchronous(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert not iscoroutinefunction(ReferralMiddleware(sync))
    assert iscoroutinefunction(ReferralMiddleware(asynchronous))


@pytest.mark.parametrize("path", ["/current/", "/async-current/"])
def test_current_request_is_the_one_being_answered(browser: Browser, path: str) -> None:
    """S-23, S-24: in views of either kind, in child tasks and threads of asgiref, and not in a thread of one's own"""
    said = browser.get(path).json()
    assert said["here"]
    assert said["thread"] is (path == "/async-current/")
    assert said.get("task", True)
    assert current_request() is None


def test_current_request_ends_with_an_error() -> None:
    """S-25"""

    def fail(request: HttpRequest) -> HttpResponse:
        assert current_request() is request
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - ours
        ReferralMiddleware(fail)(RequestFactory().get("/"))
    assert current_request() is None


def asgi_scope(path: str, *, query: bytes = b"") -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"shop.example")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def only_ours(function: Any) -> Any:
    """Run with our middleware alone, which has to stay on the event loop."""
    return override_settings(MIDDLEWARE=["livereferrals.middleware.ReferralMiddleware"])(function)


async def asgi_answer(scope: dict[str, Any], handler: ASGIHandler | None = None) -> list[dict[str, Any]]:
    """Send a scope as a server does; return what the application sends."""
    make: Any = ApplicationCommunicator  # untyped
    communicator = make(handler or ASGIHandler(), scope)
    await communicator.send_input({"type": "http.request", "body": b""})
    start = await communicator.receive_output(30)
    body = await communicator.receive_output(30)
    await communicator.wait(60)
    return [start, body]


async def asgi_headers(scope: dict[str, Any]) -> dict[bytes, bytes]:
    start, _body = await asgi_answer(scope)
    return {name.lower(): value for name, value in start["headers"]}


@only_ours
async def test_concurrent_async_requests_never_see_one_anothers() -> None:
    """S-23: 200 at once"""
    handler = ASGIHandler()
    answers = await asyncio.gather(*(asgi_answer(asgi_scope("/async-current/"), handler) for _ in range(200)))
    assert {body["body"] for _start, body in answers} == {b'{"here": true, "thread": true, "task": true}'}


def test_async_request_without_parameter_takes_no_thread() -> None:
    """P-34, X-25: the coroutine is done at its first step, having waited for nothing"""

    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("page")

    answered = ReferralMiddleware(view)(RequestFactory().get("/x?a=1"))
    with pytest.raises(StopIteration) as done:
        answered.send(None)  # type: ignore[union-attr] # a coroutine here
    assert done.value.value.content == b"page"


# --- request.referral -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/referral/", "/async-referral/"])
def test_referral_tells_the_visitor_and_the_hit_that_counts(
    world: SimpleNamespace, browser: Browser, path: str
) -> None:
    """V-05, V-06, V-10"""
    nothing = {"true": False, "visitor": None, "hit": None, "link": None, "partner": None, "alias": False, "token": ""}
    assert browser.get(path).json() == nothing
    browser.get("/ref/abc123")
    browser.get("/ref/qqq777")
    said = browser.get(path).json()
    last = ReferralHit.objects.get(link=world.qqq777)
    assert said.pop("token")
    assert said == {
        "true": True,
        "visitor": str(Visitor.objects.get().pk),
        "hit": str(last.pk),
        "link": "qqq777",
        "partner": "zk41pp0q",
        "alias": True,
    }


def test_referral_reads_the_visitor_once_and_only_when_asked(
    world: SimpleNamespace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """V-05"""
    browser = Browser("wsgi")
    browser.get("/ref/abc123")
    request = RequestFactory().get("/")
    with django_assert_num_queries(0):
        ReferralMiddleware(lambda request: HttpResponse())(request)
        assert not request.referral  # type: ignore[attr-defined] # ours; no cookie, no query
    request = RequestFactory().get("/")
    request.COOKIES["livereferrals_visitor"] = browser.cookie or ""
    ReferralMiddleware(lambda request: HttpResponse())(request)
    with django_assert_num_queries(1):
        assert request.referral  # type: ignore[attr-defined] # ours
        assert request.referral.visitor == request.affiliate_visitor  # type: ignore[attr-defined] # ours
    with django_assert_num_queries(1):
        assert request.referral.hit.link == request.referral.link == world.abc123  # type: ignore[attr-defined] # ours
        assert request.referral.partner == world.p  # type: ignore[attr-defined] # ours
