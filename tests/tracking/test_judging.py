"""The rules of screening that a host switches off, replaces and adds, on every way to a hit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.checks import run_checks

from livereferrals.events.models import Event
from livereferrals.screening import Follow, is_bot
from livereferrals.tracking import judging
from livereferrals.tracking.models import ReferralHit

if TYPE_CHECKING:
    from types import SimpleNamespace

    from tests.tracking.browsers import Browser

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.tracking.urls")]

HERE = "tests.tracking.test_judging"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
IN = ["/ref/abc123?next=/x", "/x?affiliate_id=moox6esi", "/x?ref=abc123"]
ways_in = pytest.mark.parametrize("path", IN)
seen: list[Follow] = []


@pytest.fixture(autouse=True)
def _unseen() -> None:
    seen.clear()


def is_office(follow: Follow) -> bool:
    """A rule of the host's, by the address."""
    seen.append(follow)
    return follow.ip == "127.0.0.1"


def is_our_own(follow: Follow) -> bool:
    """In place of the shipped rule: it, and a monitor that it does not know."""
    return is_bot(follow.user_agent) or follow.headers.get("x-monitor") == "1"


def fails(*args: object, **kwargs: object) -> bool:
    """A rule with an error."""
    raise ValueError("the host's own")


def says_yes(*args: object, **kwargs: object) -> bool:
    """A rule that catches everything."""
    return True


async def never_awaited(follow: Follow) -> bool:
    """A rule that cannot be asked."""
    return True


def screened_by(settings: Any, **rules: Any) -> None:
    named = {name: rule if rule is None else f"{HERE}.{rule.__name__}" for name, rule in rules.items()}
    settings.LIVEREFERRALS = {"SCREENING": named}


def end_of(browser: Browser, path: str, **options: Any) -> Any:
    """Follow redirects, with the same headers, until one leads to `/x` or is none."""
    for _ in range(5):
        response = browser.get(path, **options)
        if response.status_code != 302 or response["Location"] == "/x":
            return response
        path = response["Location"]
    raise AssertionError(path)


# --- added ----------------------------------------------------------------------------------------------------------------


@ways_in
def test_hit_that_an_added_rule_catches_is_kept_and_never_counts(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """L-35: with the rule's name, for the screens of staff; no event, so that no count and no feed has it; not credited"""
    screened_by(settings, office=is_office)
    response = end_of(browser, path)
    assert (response.status_code, response["Location"]) == (302, "/x")
    hit = ReferralHit.objects.get()
    assert (hit.flagged_by, hit.bot, hit.link.partner) == ("office", False, world.p)
    assert Event.objects.filter(type="hit").count() == 0
    assert browser.get("/referral/").json()["hit"] is None


@ways_in
def test_rule_is_told_what_the_request_says(world: SimpleNamespace, browser: Browser, settings: Any, path: str) -> None:
    """L-33: the same on every way in; headers by names in any case"""
    screened_by(settings, office=is_office)
    end_of(browser, path, headers={"user-agent": "Mine/1.0", "x-monitor": "7"})
    asked = seen[-1]
    assert asked.link == ("moox6esi" if "affiliate_id" in path else "abc123")
    assert (asked.method, asked.ip, asked.user_agent) == ("GET", "127.0.0.1", "Mine/1.0")
    assert (asked.headers["X-Monitor"], asked.headers.get("x-monitor")) == ("7", "7")


@ways_in
def test_hit_that_no_added_rule_catches_is_like_any(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str
) -> None:
    """L-01, L-35"""
    screened_by(settings, office=is_office, other=is_our_own)
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRUSTED_PROXIES": 1}
    end_of(browser, path, headers={"x-forwarded-for": "203.0.113.9"})
    assert ReferralHit.objects.get().flagged_by == ""
    assert Event.objects.filter(type="hit").count() == 1


# --- off ------------------------------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize(
    ("rule", "headers"),
    [
        ("bot", {"user-agent": GOOGLEBOT}),
        ("embedded", {"sec-fetch-dest": "image"}),
        ("prefetch", {"sec-purpose": "prefetch"}),
    ],
    ids=["bot", "embedded", "prefetch"],
)
def test_what_a_rule_kept_out_counts_when_it_is_off(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str, rule: str, headers: dict[str, str]
) -> None:
    """L-32, L-33, L-36: each by itself"""
    end_of(browser, path, headers=headers)
    assert ReferralHit.objects.count() == 0
    screened_by(settings, **{rule: None})
    assert end_of(browser, path, headers=headers)["Location"] == "/x"
    assert ReferralHit.objects.count() == Event.objects.filter(type="hit").count() == 1


def test_head_counts_when_its_rule_is_off(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-30"""
    browser.request("head", "/ref/abc123")
    assert ReferralHit.objects.count() == 0
    screened_by(settings, head=None)
    browser.request("head", "/ref/abc123")
    assert ReferralHit.objects.count() == 1


def test_second_follow_is_no_repeat_when_that_rule_is_off(
    world: SimpleNamespace, browser: Browser, settings: Any
) -> None:
    """L-39"""
    screened_by(settings, repeat=None)
    for _ in range(2):
        browser.get("/ref/abc123")
    assert [hit.repeat for hit in ReferralHit.objects.all()] == [False, False]


def test_own_link_is_nobodys_fault_when_that_rule_is_off(
    world: SimpleNamespace, browser: Browser, settings: Any
) -> None:
    """L-37: neither marked when it is followed and claimed, nor refused when it is asked for"""
    screened_by(settings, self_referral=None)
    browser.get("/ref/ann1")
    browser.log_in(world.ann)
    browser.get("/ref/ann1")
    assert not ReferralHit.objects.filter(self_referral=True).exists()
    assert ReferralHit.objects.filter(user=world.ann).count() == 2
    assert browser.get("/referral/").json()["link"] == "ann1"


# --- replaced -------------------------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize("bots", ["skip", "flag"])
def test_rule_in_place_of_a_shipped_one_is_asked_instead(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str, bots: str
) -> None:
    """L-33, L-35: what becomes of a program's hit is still what `BOTS` says"""
    screened_by(settings, bot=is_our_own)
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"BOTS": bots}
    for headers in ({"user-agent": GOOGLEBOT}, {"x-monitor": "1"}):
        end_of(browser, path, headers=headers)
    assert [hit.bot for hit in ReferralHit.objects.all()] == ([True, True] if bots == "flag" else [])
    end_of(browser, path)
    assert Event.objects.filter(type="hit").count() == 1


def test_marks_are_those_of_the_rules_in_their_place(world: SimpleNamespace, browser: Browser, settings: Any) -> None:
    """L-37, L-39: asked of a visitor who is known, and at a login"""
    screened_by(settings, repeat=says_yes, self_referral=says_yes)
    browser.get("/ref/abc123")
    browser.get("/ref/qqq777")
    assert [hit.repeat for hit in ReferralHit.objects.order_by("created_at")] == [False, True]
    browser.log_in(world.bob)
    assert all(hit.self_referral for hit in ReferralHit.objects.all())


@ways_in
def test_rule_that_fails_is_a_no_and_is_logged(
    world: SimpleNamespace, browser: Browser, settings: Any, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """L-27: nobody's click is lost for it"""
    screened_by(settings, office=fails, bot=fails, embedded=fails, prefetch=fails, repeat=fails)
    for _ in range(2):
        assert end_of(browser, path)["Location"] == "/x"
    assert [(hit.flagged_by, hit.bot, hit.repeat) for hit in ReferralHit.objects.all()] == [("", False, False)] * 2
    assert "The screening rule 'office' failed" in caplog.text


# --- the setting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        ["office"],
        {"office": None},
        {"Office": f"{HERE}.is_office"},
        {"o" * 51: f"{HERE}.is_office"},
        {"office": f"{HERE}.no_such_rule"},
        {"office": 42},
        {"office": f"{HERE}.never_awaited"},
    ],
    ids=["list", "nothing to switch off", "capital", "long", "missing", "number", "async"],
)
def test_bad_entries_are_found_and_the_shipped_rules_hold(
    world: SimpleNamespace, browser: Browser, settings: Any, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """O-08, L-20: a check says it, and visitors are led on as if it were not there"""
    settings.LIVEREFERRALS = {"SCREENING": value}
    (problem,) = [found for found in run_checks() if "SCREENING" in found.msg]
    assert problem.id == "livereferrals.E012"
    assert browser.get("/ref/abc123?next=/x", headers={"user-agent": GOOGLEBOT})["Location"] == "/x"
    assert ReferralHit.objects.count() == 0
    assert "SCREENING cannot be used" in caplog.text


def test_rules_are_put_together_once_for_each_change_of_settings(settings: Any) -> None:
    """X-24"""
    before = judging.rules()
    assert judging.rules() is before
    screened_by(settings, office=is_office)
    assert [name for name, _ in judging.rules().added] == ["office"]
    settings.LIVEREFERRALS = {}
    assert judging.rules().added == ()
