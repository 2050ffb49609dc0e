"""A host's own rule of attribution."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from livereferrals import api
from livereferrals.tracking.models import Confirmation, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger
from tests.factories import make_hit, make_link, make_user, make_visitor
from tests.tracking.browsers import Statements

if TYPE_CHECKING:
    from types import SimpleNamespace

    from livereferrals.tracking.models import Visitor
    from tests.triggers.conftest import Declare

pytestmark = pytest.mark.django_db
PAID = "Order paid"
MANUAL: dict[str, Any] = {"signal": "tests.shop.signals.order_paid", "receiver": "livereferrals.triggers.signal_sent"}
given: list[list[ReferralHit]] = []


@pytest.fixture(autouse=True)
def _ungiven() -> None:
    given.clear()


def middle(hits: list[ReferralHit]) -> ReferralHit:
    """What a host writes."""
    given.append(hits)
    return hits[len(hits) // 2]


def nobody(hits: list[ReferralHit]) -> None:
    return None


def text(hits: list[ReferralHit]) -> str:
    return str(hits[0].pk)


def another(hits: list[ReferralHit]) -> ReferralHit:
    return ReferralHit.objects.exclude(pk__in=[hit.pk for hit in hits]).get()


def broken(hits: list[ReferralHit]) -> None:
    """Fail in the database, as PostgreSQL would have it for the whole transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM nowhere")


def own(name: str) -> str:
    return f"{__name__}.{name}"


def follow(world: SimpleNamespace, *ages: int) -> tuple[Visitor, list[ReferralHit]]:
    """A visitor's hits on the house's link, so many hours ago."""
    visitor, now = make_visitor(), timezone.now()
    return visitor, [
        make_hit(link=world.house1, visitor=visitor, created_at=now - timedelta(hours=age)) for age in ages
    ]


@pytest.mark.parametrize("place", ["settings", "trigger", "question"])
def test_the_rule_gets_the_eligible_hits_oldest_first(declare: Declare, world: SimpleNamespace, place: str) -> None:
    """A-07: and names one of them; of the settings, of a trigger, or asked for by hand (A-12)."""
    rule = own("middle")
    declare(
        Trigger(PAID, attribution=rule if place == "trigger" else None, **MANUAL),
        ATTRIBUTION=rule if place == "settings" else "first_click",
    )
    visitor, hits = follow(world, 1, 3, 2)
    make_hit(link=world.house1, visitor=visitor, bot=True)
    asked = api.attribute(PAID, visitor=visitor, rule=rule if place == "question" else None)
    assert given == [[hits[1], hits[2], hits[0]]]
    assert (asked.hit, asked.trace["rule"]) == (hits[2], rule)
    assert [each["verdict"] for each in asked.trace["hits"]] == ["bot", "precedence", "credited", "precedence"]
    if place != "question":
        assert api.confirm(PAID, visitor=visitor).created
        assert Confirmation.objects.get().rule == rule


def test_a_rule_may_credit_nobody(declare: Declare, world: SimpleNamespace) -> None:
    """A-07: `None` is an answer; each hit has one verdict (A-10)."""
    declare(Trigger(PAID, **MANUAL), ATTRIBUTION=own("nobody"))
    visitor, _ = follow(world, 1, 2)
    result = api.confirm(PAID, visitor=visitor)
    assert (bool(result), result.reason) == (False, Reason.CONDITION)
    assert [each["verdict"] for each in result.trace["hits"]] == ["condition"] * 2


@pytest.mark.parametrize("name", ["text", "another", "broken", "missing"])
def test_a_rule_that_fails_falls_back_to_the_last_click(
    declare: Declare, world: SimpleNamespace, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A-07: something else, another hit, an error, no such function: logged, and the host's transaction goes on."""
    declare(Trigger(PAID, **MANUAL), ATTRIBUTION=own(name))
    visitor, hits = follow(world, 2, 1)
    make_hit()
    with transaction.atomic(), caplog.at_level(logging.ERROR):
        result = api.confirm(PAID, visitor=visitor)
        make_user()
    assert (result.hit, result.trace["rule"]) == (hits[1], "last_click")
    assert Confirmation.objects.get().rule == "last_click"
    assert own(name) in caplog.text


def test_a_rule_gets_the_newest_thousand(declare: Declare, world: SimpleNamespace) -> None:
    """A-07, A-16, S-27: of a long history, found by the database; the rest is counted."""
    declare(Trigger(PAID, **MANUAL), ATTRIBUTION=own("middle"))
    user, now = make_user(), timezone.now()
    ReferralHit.objects.bulk_create(
        ReferralHit(link=world.house1, user=user, created_at=now - timedelta(minutes=number), bot=number < 60)
        for number in range(1200)
    )
    with Statements() as statements:
        result = api.attribute(PAID, user=user)
    assert (len(given[0]), result.reason) == (1000, Reason.CONFIRMED)
    assert [hit.created_at for hit in (given[0][0], given[0][-1])] == [
        now - timedelta(minutes=1059),
        now - timedelta(minutes=60),
    ]
    assert len(statements.made) == 3  # the person's earlier confirmation, and two of attribution
    assert len(result.trace["hits"]) + result.trace["omitted"] == 1200


def test_a_long_history_without_an_eligible_hit_asks_no_rule(declare: Declare, world: SimpleNamespace) -> None:
    """A-07, S-31: the reason is that of all hits."""
    declare(Trigger(PAID, **MANUAL), ATTRIBUTION=own("middle"))
    user, now = make_user(), timezone.now()
    ReferralHit.objects.bulk_create(
        ReferralHit(link=world.house1, user=user, created_at=now, bot=True) for _ in range(60)
    )
    result = api.attribute(PAID, user=user)
    assert (result.reason, given, len(result.trace["hits"]) + result.trace["omitted"]) == (Reason.BOT, [], 60)


def test_a_chosen_hit_asks_no_rule(declare: Declare, world: SimpleNamespace) -> None:
    """N-02, A-07: the choice is the caller's."""
    declare(Trigger(PAID, **MANUAL), ATTRIBUTION=own("middle"))
    _, hits = follow(world, 3, 2, 1)
    assert api.confirm(PAID, hit=hits[2]).hit == hits[2]
    assert given == []


def test_an_allowed_self_referral_is_credited(declare: Declare, world: SimpleNamespace) -> None:
    """L-37, S-31 no. 10: with `SELF_REFERRALS="allow"`; by default it is not."""
    declare(Trigger(PAID, **MANUAL))
    hit = make_hit(link=make_link(user=world.ann), visitor=make_visitor(user=world.ann))
    assert api.attribute(PAID, user=world.ann).reason is Reason.SELF_REFERRAL
    declare(Trigger(PAID, **MANUAL), SELF_REFERRALS="allow")
    assert api.attribute(PAID, user=world.ann).hit == hit
