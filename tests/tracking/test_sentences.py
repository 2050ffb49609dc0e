"""Traces in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from livereferrals.tracking.sentences import of_partners, partners_in, told

TRACE: dict[str, Any] = {
    "v": 1,
    "rule": "first_click",
    "window_s": 30 * 86_400,
    "subject": {"user": "7", "visitors": ["a", "b"], "how": "request-user"},
    "hits": [
        {"hit": "1", "link": "spring", "partner": "aB3dE5fG", "age_s": 3 * 86_400 + 5, "verdict": "credited"},
        {"hit": "2", "link": "ann1", "partner": None, "age_s": 7_200, "verdict": "self-referral"},
        {"hit": "3", "link": "home", "partner": "gone0000", "age_s": 5, "verdict": "newer"},
    ],
    "outcome": "confirmed",
    "omitted": 2,
}


def test_trace_is_told_in_words() -> None:
    """D-22: codes become sentences, uids become names, seconds become times."""
    story = told(TRACE, names={"aB3dE5fG": "Acme"})
    assert story.outcome == "A hit was credited."
    assert story.rule == "The first link that was followed gets the credit. It may be at most 30 days old."
    assert story.subject == "The person was logged in; 2 browsers were looked at."
    assert [(hit.link, hit.partner, hit.age, hit.verdict, hit.credited) for hit in story.hits] == [
        ("spring", "Acme", "3 days before", "credited", True),
        ("ann1", "", "2\N{NO-BREAK SPACE}hours before", "the person followed a link of their own", False),
        ("home", "gone0000", "less than a minute before", "an earlier hit was credited", False),
    ]
    assert story.omitted == "2 more hits were looked at."
    assert partners_in(TRACE) == {"aB3dE5fG", "gone0000"}


def test_way_of_knowing_that_comes_later_does_not_stand_in_the_way() -> None:
    """A-15: a trace that says `coupon` is told like any other, and by its code where partners see it."""
    trace = TRACE | {"subject": {"user": "7", "visitors": [], "how": "coupon"}, "rule": "coupon"}
    story = told(trace, names={"aB3dE5fG": "Acme"})
    assert story.outcome == "A hit was credited."
    assert story.subject == ""
    assert [hit.credited for hit in story.hits] == [True, False, False]
    shown = of_partners(trace, uids={"aB3dE5fG"})
    assert shown["subject"] == {"how": "coupon"}


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ("no-hits", "No hit was credited: this person is not known to have followed a link."),
        ("new-code", "new-code"),
        (None, ""),
    ],
    ids=["known", "later", "none"],
)
def test_outcome_is_told(outcome: str | None, sentence: str) -> None:
    """D-22"""
    assert told({"outcome": outcome}, names={}).outcome == sentence


def test_no_window_is_no_sentence() -> None:
    """D-22"""
    assert told({"rule": "last_click", "window_s": None}, names={}).rule == (
        "The last link that was followed gets the credit."
    )


def test_hit_that_is_too_old_is_told_with_the_window() -> None:
    """dashboard-35: "clicked 31 days before: outside the 30-day window"."""
    hit = {"hit": "1", "link": "spring", "partner": None, "age_s": 31 * 86_400, "verdict": "out-of-window"}
    (looked,) = told({"window_s": 30 * 86_400, "hits": [hit]}, names={}).hits
    assert (looked.age, looked.verdict) == ("31 days before", "outside the window of 30 days")


def test_partner_sees_of_a_trace_its_own_hits_and_the_rule_alone() -> None:
    """A-11: no other hit, link or partner, not how many there were, nor how many browsers the person has."""
    seen = of_partners(TRACE, {"aB3dE5fG"})
    story = told(seen, names={"aB3dE5fG": "Acme"})
    assert [hit.link for hit in story.hits] == ["spring"]
    assert (story.rule[:9], story.subject, story.omitted) == ("The first", "The person was logged in.", "")
    assert not any(word in str(seen) for word in ("ann1", "home", "gone0000", "visitors", "omitted"))
