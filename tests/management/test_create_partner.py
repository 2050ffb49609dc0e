"""`create-partner` makes all of it, or nothing."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command

from livereferrals.callbacks.models import Subscription
from livereferrals.tracking.models import Partner, ReferralLink
from livereferrals.triggers import Trigger

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
NAMES = ("Order paid", "Review written")


@pytest.fixture(autouse=True)
def triggers(settings: Settings) -> None:
    signal, receiver = "tests.shop.signals.order_paid", "livereferrals.triggers.signal_sent"
    triggers = [Trigger(name, signal=signal, receiver=receiver, sender="shop.Order") for name in NAMES]
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": triggers}


def create(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("livereferrals", "create-partner", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_a_partner_is_made_with_its_link_and_subscriptions() -> None:
    """O-11: uid and link are printed, a line each"""
    url = "https://partner.example/postback?click={click_id}"
    uid, link = create("Acme", "--trigger", NAMES[0], "--trigger", NAMES[1], "--trigger", NAMES[0], "--callback", url)
    partner = Partner.objects.get(uid=uid)
    assert (partner.name, partner.active) == ("Acme", True)
    assert link == f"/ref/{partner.links.get(home=True).identifier}"
    made = Subscription.objects.filter(partner=partner).values_list("trigger", "callback_url")
    assert sorted(made) == [(name, url) for name in NAMES]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Acme", "--trigger", "Nothing"], "No trigger is named 'Nothing'. There are: 'Order paid', 'Review written'"),
        (["Acme", "--trigger", NAMES[0], "--callback", "http://127.0.0.1/"], "private|plain|https"),
        (["Acme", "--callback", "https://partner.example/"], "needs a --trigger"),
        (["", "--trigger", NAMES[0]], "blank"),
        (["x" * 300], "at most"),
    ],
    ids=["unknown trigger", "forbidden address", "address for nothing", "no name", "long name"],
)
def test_nothing_is_made_where_something_is_wrong(arguments: list[str], message: str) -> None:
    """O-11"""
    with pytest.raises(CommandError, match=message):
        create(*arguments)
    assert not Partner.objects.exists()
    assert not ReferralLink.objects.exists()
