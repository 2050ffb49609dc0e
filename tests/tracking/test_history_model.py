"""Attribution through the database, against a model that is slow and obviously right."""

from __future__ import annotations

import functools
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livereferrals.callbacks import outbox
from livereferrals.tracking import attribution, history
from livereferrals.tracking.attribution import FIRST_CLICK, LAST_CLICK
from livereferrals.tracking.history import Person, Question
from livereferrals.tracking.models import ReferralHit
from tests.factories import make_link, make_partner, make_subscription, make_user, make_visitor

if TYPE_CHECKING:
    from collections.abc import Iterable

LINKS = ("subscribed", "inactive", "unsubscribed", "archived", "other trigger", "house", "ann's", "own", "dropped")
WHO = ("user", "phone", "browser", "stranger")
AGES_S = (-60, 0, 1, 59, 60, 61, 3600)


def make_world() -> SimpleNamespace:
    """Make a link of each kind, and a person on two devices with a browser that is still nobody's."""
    user, now = make_user(), timezone.now()
    partners = {name: make_partner(active=name != "inactive") for name in LINKS[:5]}
    for name in ("subscribed", "inactive", "archived", "other trigger"):
        make_subscription(
            partner=partners[name],
            trigger="Other" if name == "other trigger" else "Order paid",
            archived_at=now if name == "archived" else None,
        )
    links = {name: make_link(partner=partner) for name, partner in partners.items()}
    links["house"] = make_link(owner="house")
    links["ann's"] = make_link(user=make_user())
    links["own"] = make_link(user=user)
    links["dropped"] = make_link(owner="house", disabled=True, drop_pending=True)
    phone, browser, stranger = make_visitor(user=user), make_visitor(), make_visitor()
    visitors = {"user": None, "phone": phone, "browser": browser, "stranger": stranger}
    return SimpleNamespace(user=user, links=links, visitors=visitors, at=now)


hits = st.lists(
    st.fixed_dictionaries(
        {
            "link": st.sampled_from(LINKS),
            "who": st.sampled_from(WHO),
            "age_s": st.sampled_from(AGES_S),
            "flag": st.sampled_from([None, None, None, "bot", "flagged_by", "no_consent", "self_referral"]),
        }
    ),
    max_size=9,
)


def is_eligible(hit: dict[str, Any], *, window_s: int | None) -> bool:
    """Say of one hit whether it may be credited, in the words of the specification."""
    return (
        (window_s is None or max(hit["age_s"], 0) <= window_s)
        and hit["flag"] is None
        and hit["link"] not in ("own", "dropped", "inactive", "unsubscribed", "archived", "other trigger")
    )


def slow_model(story: Iterable[tuple[dict[str, Any], ReferralHit]], *, rule: str, window_s: int | None) -> Any:
    """Compare each eligible hit of the person with the best so far."""
    best: tuple[dict[str, Any], ReferralHit] | None = None
    for hit, row in story:
        if hit["who"] == "stranger" or not is_eligible(hit, window_s=window_s):
            continue
        if best is None:
            best = hit, row
            continue
        age, best_age = max(hit["age_s"], 0), max(best[0]["age_s"], 0)
        is_better = age < best_age if rule == LAST_CLICK else age > best_age
        if is_better or (age == best_age and row.pk > best[1].pk):
            best = hit, row
    return None if best is None else best[1]


def write(world: SimpleNamespace, hit: dict[str, Any]) -> ReferralHit:
    link, visitor = world.links[hit["link"]], world.visitors[hit["who"]]
    return ReferralHit(
        link=link,
        partner=link.partner,
        visitor=visitor,
        user=world.user if hit["who"] in ("user", "phone") else None,
        created_at=world.at - timedelta(seconds=hit["age_s"]),
        **({hit["flag"]: "x" if hit["flag"] == "flagged_by" else True} if hit["flag"] else {}),
    )


@pytest.mark.django_db
@pytest.mark.no_cover
@pytest.mark.parametrize("length", ["short", "long"])
def test_the_credited_hit_is_that_of_a_slow_and_obvious_model(length: str) -> None:
    """A-01 to A-06, A-10, A-16, S-31: for random histories, rules, windows, partners and subscriptions.

    A long history has sixty crawlers' hits besides, so that the database itself has to judge.
    """
    world = make_world()
    person = Person(user=world.user, visitor=world.visitors["browser"])
    if length == "long":
        crawlers: dict[str, Any] = {"link": "house", "who": "user", "age_s": 0, "flag": "bot"}
        ReferralHit.objects.bulk_create(write(world, crawlers) for _ in range(60))

    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(
        story=hits, rule=st.sampled_from([LAST_CLICK, FIRST_CLICK]), window_s=st.sampled_from([None, 1, 60, 7_776_000])
    )
    def agree(story: list[dict[str, Any]], rule: str, window_s: int | None) -> None:
        with transaction.atomic():
            rows = ReferralHit.objects.bulk_create(write(world, hit) for hit in story)
            found = history.attribute(person, asked(rule, window_s))
            transaction.set_rollback(True)
        assert found.hit == slow_model(zip(story, rows, strict=True), rule=rule, window_s=window_s)
        looked_at = sum(hit["who"] != "stranger" for hit in story) + (60 if length == "long" else 0)
        trace = attribution.trace(found.choice, subject={})
        assert len(trace["hits"]) + trace.get("omitted", 0) == looked_at
        assert [each["verdict"] for each in trace["hits"]].count("credited") == (found.hit is not None)

    @functools.cache
    def asked(rule: str, window_s: int | None) -> Question:
        return Question(
            at=world.at,
            rule=rule,
            window=None if window_s is None else timedelta(seconds=window_s),
            subscribed=outbox.subscriptions_to("Order paid").values("partner_id"),
            called=outbox.called_for("Order paid"),
        )

    agree()
