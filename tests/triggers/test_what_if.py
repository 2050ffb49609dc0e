"""The sub-command that asks what another rule would have given."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks.models import Subscription
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation
from livereferrals.triggers import Trigger
from tests.factories import make_hit, make_visitor
from tests.tracking.browsers import Statements

if TYPE_CHECKING:
    from types import SimpleNamespace

    from tests.triggers.conftest import Declare

pytestmark = pytest.mark.django_db
REGISTERED = "User registered"


def what_if(*arguments: str) -> list[list[str]]:
    """Run it and return the words of each line below the heading."""
    out = io.StringIO()
    call_command("livereferrals", "what-if", *arguments, stdout=out)
    return [line.split() for line in out.getvalue().splitlines()]


@pytest.fixture
def story(world: SimpleNamespace, declare: Declare) -> SimpleNamespace:
    """P's hit 40 days ago, then Q's: two sign-ups credited to Q; a hit of P's afterwards is none of theirs."""
    declare(
        Trigger(
            REGISTERED,
            signal="django.db.models.signals.post_save",
            receiver="livereferrals.triggers.object_created",
            sender="shop.Order",
            once=False,
        )
    )
    visitor, now = make_visitor(), timezone.now()
    make_hit(link=world.abc123, visitor=visitor, created_at=now - timedelta(days=40))
    make_hit(link=world.qqq777, visitor=visitor, created_at=now - timedelta(days=10))
    for reference, day, amount in (("old", 9, "1.25"), ("new", 1, 2)):
        moment = now - timedelta(days=day)
        assert api.confirm(
            REGISTERED, visitor=visitor, reference=reference, amount=amount, currency="EUR", occurred_at=moment
        )
    Confirmation.objects.update(created_at=now - timedelta(hours=2))
    make_hit(link=world.abc123, visitor=visitor, created_at=now - timedelta(hours=1))
    return world


def test_it_says_what_partners_have_and_would_have(story: SimpleNamespace) -> None:
    """A-13: confirmations and amounts by partner; hits made since are not looked at, and nothing is written."""
    before = (Event.objects.count(), list(Confirmation.objects.order_by("id").values()))
    with Statements() as statements:
        lines = what_if("--rule", "first_click", "--window", "60")
    assert lines[0][:4] == ["Rule", "first_click,", "window", "60"]
    assert ["P", "(moox6esi)", "0", "-", "2", "3.25", "EUR"] in lines
    assert ["Q", "(zk41pp0q)", "2", "3.25", "EUR", "0", "-"] in lines
    assert (Event.objects.count(), list(Confirmation.objects.order_by("id").values())) == before
    assert all(sql.startswith(("SELECT", "DECLARE", "FETCH", "CLOSE")) for sql in statements.made)


def test_as_the_settings_are_nothing_moves(story: SimpleNamespace) -> None:
    """A-13: the defaults are those of the project, with the subscriptions of the time."""
    Subscription.objects.update(archived_at=timezone.now())
    assert what_if()[0][-7:] == ["0", "confirmations", "would", "belong", "to", "somebody", "else."]
    assert ["Q", "(zk41pp0q)", "2", "3.25", "EUR", "2", "3.25", "EUR"] in what_if()


def test_it_can_be_narrowed(story: SimpleNamespace) -> None:
    """A-13: by time and trigger; a short window leaves nobody; what was taken back does not count."""
    since = timezone.localdate(timezone.now() - timedelta(days=3)).isoformat()
    assert ["Q", "(zk41pp0q)", "1", "2.00", "EUR", "1", "2.00", "EUR"] in what_if("--since", since)
    assert ["Q", "(zk41pp0q)", "1", "1.25", "EUR", "1", "1.25", "EUR"] in what_if("--until", since)
    assert what_if("--trigger", "Other")[-1] == ["partner", "as", "it", "is", "as", "it", "would", "be"]
    assert ["(nobody)", "0", "-", "1", "2.00", "EUR"] in what_if("--window", "1")
    api.reverse(trigger=REGISTERED, reference="new", reason="refund")
    assert ["Q", "(zk41pp0q)", "1", "1.25", "EUR", "1", "1.25", "EUR"] in what_if("--window", "none")


@pytest.mark.parametrize(
    "arguments",
    [("--rule", "best"), ("--rule", "nowhere.rule"), ("--window", "-1"), ("--window", "x"), ("--since", "yesterday")],
    ids=["rule", "path", "negative", "word", "day"],
)
def test_an_argument_that_means_nothing_is_told(arguments: tuple[str, ...]) -> None:
    """A-13: with what is wrong."""
    with pytest.raises(CommandError, match=arguments[1].partition(".")[0]):
        what_if(*arguments)
