"""Consent that is asked on the page that a link leads to: the hit waits an hour for the answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.signing import TimestampSigner, b62_encode

from livereferrals.events.models import Event
from livereferrals.tracking import references
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.tracking.browsers import HOST, Browser

if TYPE_CHECKING:
    from types import SimpleNamespace

    from django.http import HttpRequest

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

HERE = "tests.tracking.test_granting"
LINK = "/ref/abc123?next=/x"


def answers(request: HttpRequest) -> bool | None:
    """What the host's own cookie says, if it is there."""
    return {"yes": True, "no": False}.get(request.COOKIES.get("agreed", ""))


@pytest.fixture(autouse=True)
def _asks(settings: Any) -> None:
    settings.LIVEREFERRALS = {"CONSENT": f"{HERE}.{answers.__name__}"}


def agree(browser: Browser, page: str, path: str = "/agreed/") -> dict[str, Any]:
    """Say yes to the banner of a page, as a browser sends it."""
    said: dict[str, Any] = browser.get(path, headers={"referer": f"https://{HOST}{page}"}).json()
    return said


def reference_in(page: str) -> str:
    (found,) = parse_qs(urlsplit(page).query)[references.PARAMETER]
    return found


def aged(hit: ReferralHit, seconds: int) -> str:
    """Return the reference that a hit had got so long ago."""

    class Old(TimestampSigner):
        def timestamp(self) -> str:
            return b62_encode(int(time.time()) - seconds)

    return Old(salt=references.SALT, sep=".").sign(hit.pk.hex)


@pytest.mark.parametrize("path", ["/agreed/", "/async-agreed/"])
def test_yes_ties_the_hit_to_a_new_visitor(world: SimpleNamespace, browser: Browser, path: str) -> None:
    """V-19: until then it is without cookie and personal fields; from then on it is credited."""
    page = browser.get("/ref/abc123?next=/x%3Fa=1%23top", headers={"user-agent": "Mozilla/5.0"})["Location"]
    assert (page.split("&")[0], page.endswith("#top")) == ("/x?a=1", True)
    hit = ReferralHit.objects.get()
    assert (hit.no_consent, hit.visitor, hit.user_agent, hit.entry_url) == (True, None, "", "/x?a=1#top")
    assert browser.cookie is None
    said = agree(browser, page, path)
    assert (said["tied"], said["true"], said["link"], said["hit"]) == (True, True, "abc123", str(hit.pk))
    hit.refresh_from_db()
    visitor = Visitor.objects.get()
    assert (hit.no_consent, hit.visitor) == (False, visitor)
    assert browser.carried is not None
    assert browser.carried.id == visitor.pk
    assert browser.get("/referral/").json()["hit"] == str(hit.pk)
    browser.log_in(world.bob)
    assert ReferralHit.objects.get().user == world.bob


@pytest.mark.parametrize("way", ["form", "address", "script", "page before"])
def test_reference_comes_by_whichever_way_the_host_chose(world: SimpleNamespace, way: str) -> None:
    """V-19"""
    browser = Browser()
    page = browser.get(LINK)["Location"]
    reference = reference_in(page)
    sent: dict[str, dict[str, Any]] = {
        "form": {"data": {references.PARAMETER: reference}},
        "script": {"headers": {"X-Reference": reference}},
        "page before": {"headers": {"referer": f"https://{HOST}{page}"}},
    }
    query = f"?{references.PARAMETER}={reference}" if way == "address" else ""
    assert browser.post(f"/agreed/{query}", **sent.get(way, {})).json()["tied"] is True


def test_answer_may_take_an_hour(world: SimpleNamespace) -> None:
    """V-19: as V-14 after that"""
    browser = Browser()
    browser.get(LINK)
    hit = ReferralHit.objects.get()
    for seconds, tied in ((3610, False), (3500, True)):
        assert agree(browser, f"/x?{references.PARAMETER}={aged(hit, seconds)}")["tied"] is tied


@pytest.mark.parametrize("text", ["", "x" * 300, "{hit}", "{hit}.1vMBBB.AAAA", "{signed}x", "%FF", "[" * 40])
def test_what_is_no_reference_of_ours_ties_nothing(world: SimpleNamespace, text: str) -> None:
    """V-19: the id of a hit is in feeds and callbacks, and not enough"""
    browser = Browser()
    signed = reference_in(browser.get(LINK)["Location"])
    text = text.format(hit=ReferralHit.objects.get().pk.hex, signed=signed)
    assert agree(browser, f"/x?{references.PARAMETER}={text}")["tied"] is False
    assert browser.get("/agreed/", headers={"referer": "http://[x"}).json()["tied"] is False
    assert browser.cookie is None


def test_copy_of_the_address_makes_nobody_else_the_visitor(world: SimpleNamespace) -> None:
    """V-19, V-12: a hit is granted once"""
    first, second = Browser(), Browser()
    page = first.get(LINK)["Location"]
    assert agree(first, page)["tied"] is True
    assert agree(second, page)["tied"] is False
    assert second.cookie is None
    assert Visitor.objects.count() == 1


def test_hit_that_is_never_granted_is_never_claimed_or_credited(world: SimpleNamespace) -> None:
    """V-19, V-14"""
    browser = Browser()
    browser.get(LINK)
    browser.client.cookies["agreed"] = "yes"
    browser.log_in(world.bob)
    assert browser.get("/referral/").json()["hit"] is None
    assert (ReferralHit.objects.get().user, ReferralHit.objects.get().no_consent) == (None, True)


def test_yes_of_somebody_logged_in_is_theirs(world: SimpleNamespace) -> None:
    """V-19, L-37: and their own link's hit is no more worth than it would have been"""
    browser = Browser()
    browser.log_in(world.ann)
    for page in [browser.get(f"/ref/{link}")["Location"] for link in ("ann1", "abc123")]:
        assert agree(browser, page)["tied"] is True
    hits = ReferralHit.objects.order_by("created_at")
    assert [(hit.user, hit.self_referral) for hit in hits] == [(world.ann, True), (world.ann, False)]
    assert {hit.visitor for hit in hits} == {Visitor.objects.get(user=world.ann)}
    assert not Event.objects.filter(type="claim").exists()  # as with a follow of somebody logged in (C-08)


def test_visitor_that_the_browser_has_by_now_gets_the_hit(world: SimpleNamespace) -> None:
    """V-19, V-12: of two tabs one is asked first; a visitor that is somebody else's gets nothing"""
    browser = Browser()
    pages = [browser.get(f"/ref/{link}")["Location"] for link in ("abc123", "qqq777", "house1")]
    for page in pages[:2]:
        assert agree(browser, page)["tied"] is True
    assert Visitor.objects.get().hits.count() == 2
    browser.log_in(world.bob)
    browser.log_out()
    assert agree(browser, pages[2])["tied"] is True
    assert Visitor.objects.get(user=None).hits.get().link == world.house1


@pytest.mark.parametrize(
    ("path", "added", "why"),
    [
        ("/ref/abc123?next=https://other.example/x", {"ALLOWED_REDIRECT_HOSTS": ["other.example"]}, "another's host"),
        ("/ref/abc123", {"RESPECT_GPC": True}, "the browser objects"),
        ("/ref/abc123", {"CONSENT": None}, "nobody has to be asked"),
    ],
    ids=["host", "objection", "no-hook"],
)
def test_no_reference_leaves_where_it_is_of_no_use(
    world: SimpleNamespace, settings: Any, path: str, added: dict[str, Any], why: str
) -> None:
    """V-19"""
    settings.LIVEREFERRALS |= added
    assert references.PARAMETER not in Browser().get(path, headers={"sec-gpc": "1"})["Location"], why


def test_no_reference_goes_with_a_no(world: SimpleNamespace) -> None:
    """V-19, V-14"""
    browser = Browser()
    browser.client.cookies["agreed"] = "no"
    assert browser.get(LINK)["Location"] == "/x"


def test_reference_is_in_the_last_redirect_alone_and_stored_nowhere(world: SimpleNamespace, settings: Any) -> None:
    """V-19, Y-09: one that a copied address brings is replaced"""
    settings.LIVEREFERRALS |= {"PARAMETER_HOPS": {"ref": "link_url"}}
    browser = Browser()
    hop = browser.get(f"/x?ref=abc123&{references.PARAMETER}=old")["Location"]
    assert hop.startswith("/ref/abc123?next=")
    page = browser.get(hop)["Location"]
    assert reference_in(page) != "old"
    browser.client.cookies["agreed"] = "yes"
    browser.get(LINK, headers={"referer": f"https://{HOST}{page}"})
    kept = ReferralHit.objects.values_list("entry_url", "referer")
    assert [text for pair in kept for text in pair if references.PARAMETER in text] == []
