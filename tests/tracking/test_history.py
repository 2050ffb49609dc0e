"""Reading a person's hits for attribution."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.callbacks.models import Subscription
from livereferrals.tracking import attribution, history
from livereferrals.tracking.attribution import FIRST_CLICK, LAST_CLICK
from livereferrals.tracking.history import Person, Question
from livereferrals.tracking.models import ReferralHit
from livereferrals.tracking.reasons import Reason
from tests.factories import make_hit, make_link, make_partner, make_subscription, make_user, make_visitor

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def question(**overrides: Any) -> Question:
    values: dict[str, Any] = {"at": NOW, "rule": LAST_CLICK, "window": timedelta(days=90)}
    return Question(**values | overrides)


def subscribed(trigger: str = "Order paid") -> Any:
    return Subscription.objects.filter(trigger=trigger, archived_at__isnull=True).values("partner_id")


def test_several_devices_of_a_user_are_one_history() -> None:
    """A-06: hits on the phone and on the laptop, and of the browser at hand, are looked at together."""
    user = make_user()
    phone, laptop = make_visitor(user=user), make_visitor(user=user)
    make_hit(visitor=phone, created_at=NOW - timedelta(hours=2))
    latest = make_hit(visitor=laptop, created_at=NOW - timedelta(hours=1))
    here = make_hit(visitor=make_visitor(), created_at=NOW - timedelta(hours=3))
    make_hit()
    found = history.attribute(Person(user=user, visitor=here.visitor), question())
    assert found.hit == latest
    assert len(found.choice.considered) == 3
    assert set(found.visitors) == {phone.pk, laptop.pk, here.visitor_id}


def test_a_claimed_visitor_stands_for_its_user() -> None:
    """A-06: whoever names the visitor means the person behind it."""
    user = make_user()
    visitor = make_visitor(user=user)
    make_hit(visitor=visitor, created_at=NOW - timedelta(hours=2))
    elsewhere = make_hit(visitor=make_visitor(user=user), created_at=NOW - timedelta(hours=1))
    assert history.current_hit(Person(visitor=visitor), at=NOW) == elsewhere


def test_nobody_has_no_hits_and_costs_no_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """S-27: without a subject there is nothing to ask."""
    make_hit()
    with django_assert_num_queries(0):
        assert history.attribute(Person(), question()).choice.reason is Reason.NO_HITS


def test_a_usual_history_is_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """A-16: link, partner, visitor and subscription come with the hits."""
    partner = make_partner()
    make_subscription(partner=partner)
    visitor = make_visitor()
    for _ in range(3):
        make_hit(visitor=visitor, link=make_link(partner=partner), created_at=NOW)
    with django_assert_num_queries(1):
        found = history.attribute(Person(visitor=visitor), question(subscribed=subscribed()))
        assert found.hit is not None
        assert (found.hit.link.partner_id, found.hit.partner) == (partner.pk, partner)
        assert found.hit.visitor == visitor


def test_following_a_link_of_ones_own_is_known_before_the_claim() -> None:
    """L-37, L-38: the visitor's row knows no user yet, and the subject owns the link, or is its partner's login."""
    ann = make_user()
    visitor = make_visitor()
    make_hit(visitor=visitor, link=make_link(user=ann), created_at=NOW)
    make_hit(visitor=visitor, link=make_link(partner=make_partner(user=ann)), created_at=NOW)
    found = history.attribute(Person(user=ann, visitor=visitor), question())
    assert found.choice.reason is Reason.SELF_REFERRAL
    assert history.attribute(Person(visitor=visitor), question()).choice.reason is Reason.CONFIRMED


def many_hits(number: int, **values: Any) -> list[ReferralHit]:
    """Insert hits at once, a minute apart, the first the latest."""
    return ReferralHit.objects.bulk_create(
        ReferralHit(**{"created_at": NOW - timedelta(minutes=index)} | values) for index in range(number)
    )


def test_ten_thousand_hits_take_two_queries_and_are_not_loaded(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """A-16: the eligible hit is found behind 10,000 others, which are counted and not read."""
    user, other = make_user(), make_partner()
    link = make_link(partner=other)
    many_hits(10_000, link=link, partner=other, user=user)
    partner = make_partner()
    make_subscription(partner=partner)
    wanted = make_hit(link=make_link(partner=partner), user=user, created_at=NOW - timedelta(days=30))
    with django_assert_num_queries(2):
        found = history.attribute(Person(user=user), question(subscribed=subscribed()))
    assert found.hit == wanted
    listed = attribution.trace(found.choice, subject={})
    assert (len(listed["hits"]), listed["omitted"]) == (50, 9_951)
    assert len(found.choice.considered) <= attribution.LISTED + 1


def test_hits_of_the_future_are_equal_in_a_long_history_too() -> None:
    """A-04, A-16: the database counts them as of now, so that the higher id decides."""
    user, house = make_user(), make_link(owner="house")
    many_hits(60, link=house, user=user, bot=True)
    make_hit(link=house, user=user, created_at=NOW + timedelta(hours=1))
    last = make_hit(link=house, user=user, created_at=NOW + timedelta(hours=2))
    assert history.attribute(Person(user=user), question(rule=FIRST_CLICK)).hit == last


def test_a_long_history_without_an_eligible_hit_has_the_reason_of_all() -> None:
    """A-16, S-31: what is beyond the listed hits is judged too."""
    user = make_user()
    many_hits(60, link=make_link(owner="house"), user=user, bot=True)
    disabled = make_link(owner="house", disabled=True, drop_pending=True)
    make_hit(link=disabled, user=user, created_at=NOW - timedelta(days=1))
    found = history.attribute(Person(user=user), question())
    assert found.hit is None
    assert found.choice.reason is Reason.LINK_DISABLED
    assert attribution.trace(found.choice, subject={})["omitted"] == 11


@pytest.mark.parametrize("window", [timedelta(days=90), None], ids=["window", "no window"])
@pytest.mark.parametrize("rule", [LAST_CLICK, FIRST_CLICK])
def test_the_database_judges_as_the_rule_does(rule: str, window: timedelta | None) -> None:
    """A-16: hits of every kind are judged in Python; with many more of a bot's among them, in SQL, and alike."""
    user, p, q = make_user(), make_partner(), make_partner(active=False)
    make_subscription(partner=p)
    own, dropped = make_link(user=user), make_link(owner="house", disabled=True, drop_pending=True)
    unsubscribed, house = make_link(partner=make_partner()), make_link(owner="house")
    links = [make_link(partner=p), make_link(partner=q), unsubscribed, house, own, dropped]
    flags: list[dict[str, Any]] = [
        {},
        {"bot": True},
        {"flagged_by": "office"},
        {"no_consent": True},
        {"self_referral": True},
    ]
    ages = [timedelta(hours=-1), timedelta(0), timedelta(days=90), timedelta(days=91)]
    asked = question(rule=rule, window=window, subscribed=subscribed())
    for kept in (links[:2], links[2:4], links[1:3], links[3:5], links[4:], links[5:]):  # at most 50 hits
        ReferralHit.objects.all().delete()
        for link, flag, age in itertools.product(kept, flags, ages):
            make_hit(link=link, user=user, created_at=NOW - age, **flag)
        short = history.attribute(Person(user=user), asked)
        many_hits(60, link=house, user=user, bot=True)
        long = history.attribute(Person(user=user), asked)
        assert (long.hit, long.choice.reason) == (short.hit, short.choice.reason)
        traced = attribution.trace(long.choice, subject={})
        assert len(traced["hits"]) + traced["omitted"] == len(short.choice.considered) + 60


def test_a_chosen_hit_is_judged_alone() -> None:
    """N-02: the choice is skipped, the checks are not."""
    visitor = make_visitor()
    older = make_hit(visitor=visitor, created_at=NOW - timedelta(days=400))
    make_hit(visitor=visitor, created_at=NOW)
    own = make_hit(visitor=visitor, self_referral=True)
    asked = question(window=None)
    assert history.credit(older, person=Person(visitor=visitor), question=asked).hit == older
    assert history.credit(own, person=Person(visitor=visitor), question=asked).choice.reason is Reason.SELF_REFERRAL
