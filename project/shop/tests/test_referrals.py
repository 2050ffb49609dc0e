"""The two conversions of the shop are credited to the partner whose link was followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth import get_user_model

from livereferrals.testing import assert_confirmed, assert_not_confirmed, deliver_callbacks, feed_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

    from livereferrals.models import Partner
    from livereferrals.testing import CallbackReceiver, Followed

pytestmark = pytest.mark.django_db
NEW = {"username": "carol", "password1": "xk3-Plum-Harbour", "password2": "xk3-Plum-Harbour"}


def test_signing_up_is_credited_to_the_link_that_was_followed(
    client: Client, referral_partner: Callable[..., Partner], follow_link: Callable[..., Followed]
) -> None:
    partner = referral_partner("Acme", triggers=["User registered"])
    followed = follow_link(partner.links.get(home=True), click_id="4711")
    client.post("/signup/", NEW)
    confirmation = assert_confirmed("User registered", user=get_user_model().objects.get(), partner=partner)
    assert confirmation.hit == followed.hit


def test_signing_up_without_a_link_credits_nobody(client: Client) -> None:
    client.post("/signup/", NEW)
    assert get_user_model().objects.exists()
    assert_not_confirmed("User registered", reason="no-hits")


def test_an_order_is_worth_its_total(
    client: Client, referral_partner: Callable[..., Partner], follow_link: Callable[..., Followed]
) -> None:
    partner = referral_partner("Acme", triggers=["Order paid"])
    follow_link(partner.links.get(home=True))
    client.post("/signup/", NEW)
    client.post("/buy/", {"tea": "assam"})
    confirmation = assert_confirmed("Order paid", currency="EUR")
    (sold,) = (event for event in feed_events(partner) if event["type"] == "confirmation")
    assert sold["data"]["reference"] == confirmation.reference
    assert float(sold["data"]["amount"]) > 0


@pytest.mark.django_db(transaction=True)
def test_the_partner_is_called_back(
    client: Client,
    referral_partner: Callable[..., Partner],
    follow_link: Callable[..., Followed],
    callback_receiver: CallbackReceiver,
) -> None:
    url = f"{callback_receiver.url}?click={{click_id}}"
    partner = referral_partner("Acme", triggers=["User registered"], callback_url=url)
    follow_link(partner.links.get(home=True), click_id="4711")
    client.post("/signup/", NEW)
    assert deliver_callbacks() == 1
    (call,) = callback_receiver.calls
    assert call.query["click"] == ["4711"]
