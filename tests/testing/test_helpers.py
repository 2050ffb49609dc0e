"""The helpers do what a host's tests need, and say why when something is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import AsyncClient, Client

from livereferrals import testing
from livereferrals.callbacks.models import SigningSecret
from livereferrals.events.models import Event
from livereferrals.events.publisher import publisher
from livereferrals.signals import referral_confirmed
from livereferrals.tracking.models import Partner
from livereferrals.triggers import Trigger, complete_trigger
from livereferrals.triggers.firings import recorder
from tests.factories import home_link, make_link, make_user

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
PAID = "Order paid"
User = get_user_model()


@pytest.fixture(autouse=True)
def paid(settings: Settings) -> None:
    """A trigger that is completed by hand."""
    trigger = Trigger(
        PAID, signal="tests.shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent", once=False
    )
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [trigger]}


def pay(client: Client, partner: Partner, *, reference: str = "A-1") -> testing.Followed:
    followed = testing.follow(client, home_link(partner), click_id="4711")
    assert followed.visitor is not None
    complete_trigger(None, PAID, visitor=followed.visitor, reference=reference, amount="49.90", currency="EUR")
    return followed


def test_following_gives_the_hit_and_keeps_its_browser(client: Client) -> None:
    first = testing.follow(client, make_link(identifier="spring"), sub1="banner")
    second = testing.follow(client, "spring")
    assert first.response.status_code == 302
    assert (first.hit.sub1, first.hit.repeat, second.hit.repeat) == ("banner", False, True)
    assert first.visitor == second.visitor


@pytest.mark.django_db(transaction=True)
async def test_following_works_with_the_async_client() -> None:
    from asgiref.sync import sync_to_async

    link = await sync_to_async(make_link)()
    followed = await testing.afollow(AsyncClient(), link)
    assert followed.hit.link == link


def test_following_what_counts_nothing_says_so(client: Client) -> None:
    with pytest.raises(AssertionError, match=r"no hit: the answer is 302, leading to /"):
        testing.follow(client, "nobody-knows-it")


def test_a_partner_is_not_subscribed_to_what_is_no_trigger() -> None:
    """A name that is misspelt would confirm nothing, and say nothing."""
    with pytest.raises(ValueError, match=rf"No trigger is named 'Order payd'\. There are: .*'{PAID}'"):
        testing.make_partner("Acme", triggers=["Order payd"])
    assert not Partner.objects.exists()


def test_a_confirmation_is_found_by_its_values(client: Client) -> None:
    partner = testing.make_partner("Acme", triggers=[PAID])
    pay(client, partner)
    found = testing.assert_confirmed(
        PAID, partner=partner, amount=Decimal("49.9"), currency="EUR", link=home_link(partner)
    )
    assert found.reference == "A-1"


def test_a_missing_confirmation_says_what_there_is(client: Client) -> None:
    pay(client, testing.make_partner("Acme", triggers=[PAID]))
    with pytest.raises(
        AssertionError, match=r"nothing with reference='B-2'\. There are: reference='A-1', amount=49\.90"
    ):
        testing.assert_confirmed(PAID, reference="B-2")


def test_a_no_says_its_reason(client: Client) -> None:
    with testing.isolated():
        complete_trigger(None, PAID, user=make_user())
        testing.assert_not_confirmed(PAID, reason="no-hits")
        with pytest.raises(AssertionError, match=r"Expected the reason 'self-referral'; no-hits"):
            testing.assert_not_confirmed(PAID, reason="self-referral")
        with pytest.raises(AssertionError, match=r"with any values\. It decided: no-hits"):
            testing.assert_confirmed(PAID)


def test_a_trigger_that_never_fired_is_told_apart() -> None:
    with testing.isolated(), pytest.raises(AssertionError, match="has not fired in this test"):
        testing.assert_confirmed(PAID)


def test_what_was_confirmed_is_not_unconfirmed(client: Client) -> None:
    pay(client, testing.make_partner("Acme", triggers=[PAID]))
    with pytest.raises(AssertionError, match="reference 'A-1'"):
        testing.assert_not_confirmed(PAID)
    testing.assert_not_confirmed(PAID, reference="B-2")


def test_what_follows_the_commit_is_played_in_a_test_case(client: Client) -> None:
    """S-55: inside the test's transaction receivers run, and events get their numbers"""
    heard = []

    def hear(sender: object, **sent: object) -> None:
        heard.append(sent["confirmation"])

    referral_confirmed.connect(hear)
    try:
        with testing.isolated(), testing.after_commit():
            pay(client, testing.make_partner("Acme", triggers=[PAID]))
            assert not heard
            assert not Event.objects.filter(seq__isnull=False).exists()
    finally:
        referral_confirmed.disconnect(hear)
    assert connection.in_atomic_block
    assert heard == [testing.assert_confirmed(PAID)]
    assert not Event.objects.filter(seq__isnull=True).exists()


def test_a_partners_feed_is_read_as_its_program_gets_it(client: Client) -> None:
    partner = testing.make_partner("Acme", triggers=[PAID])
    pay(client, partner)
    hit, confirmation = testing.feed_events(partner)
    assert (hit["type"], hit["data"]["click_id"]) == ("hit", "4711")
    assert (confirmation["type"], confirmation["data"]["amount"]) == ("confirmation", "49.90")
    assert testing.feed_events(partner, amounts=False)[1]["data"]["amount"] is None
    assert testing.feed_events(testing.make_partner("Other")) == []


def test_nothing_runs_by_itself_while_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "inline", False)
    monkeypatch.setattr(recorder, "paused", False)
    settled = {"inline": True, "paused": True}
    with testing.isolated():
        assert {"inline": publisher.inline, "paused": recorder.paused} == settled
    assert {"inline": publisher.inline, "paused": recorder.paused} == dict.fromkeys(settled, False)


@pytest.mark.django_db(transaction=True)
def test_callbacks_are_delivered_by_the_worker_itself(client: Client) -> None:
    with testing.CallbackReceiver() as receiver:
        partner = testing.make_partner("Acme", triggers=[PAID], callback_url=f"{receiver.url}?order={{reference}}")
        pay(client, partner)
        assert testing.deliver_callbacks() == 1
        (call,) = receiver.calls
        assert (call.method, call.query, call.json()["type"]) == ("POST", {"order": ["A-1"]}, "confirmation")
        assert call.is_signed_with(SigningSecret.objects.get().value)
        assert not call.is_signed_with("whsec_" + 32 * "A")
        assert testing.deliver_callbacks() == 0


@pytest.mark.django_db(transaction=True)
def test_the_receiver_answers_as_it_is_told(client: Client) -> None:
    with testing.CallbackReceiver() as receiver:
        receiver.answer_with(500, b"down")
        pay(client, testing.make_partner("Acme", triggers=[PAID], callback_url=receiver.url))
        assert testing.deliver_callbacks() == 1
    confirmation = testing.assert_confirmed(PAID)
    delivery = confirmation.deliveries.get()
    assert (delivery.state, delivery.attempts) == ("waiting", 1)


def test_a_worker_that_could_see_nothing_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"django_db\(transaction=True\)"):
        testing.deliver_callbacks()
