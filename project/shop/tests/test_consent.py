"""With CONSENT=1 nobody is known again before they have said yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.conf import settings as django_settings

from livereferrals.models import ReferralHit
from livereferrals.testing import assert_confirmed, assert_not_confirmed

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client
    from pytest_django import Settings

    from livereferrals.models import Partner, ReferralLink

pytestmark = pytest.mark.django_db
NEW = {"username": "carol", "password1": "xk3-Plum-Harbour", "password2": "xk3-Plum-Harbour"}
QUESTION = "May we remember who sent you here?"


@pytest.fixture
def link(settings: Settings, referral_partner: Callable[..., Partner]) -> ReferralLink:
    settings.LIVEREFERRALS = django_settings.LIVEREFERRALS | {"CONSENT": "project.shop.consent.has_agreed"}
    found: ReferralLink = referral_partner("Acme", triggers=["User registered"]).links.get(home=True)
    return found


def test_who_has_not_answered_is_asked_and_not_known(client: Client, link: ReferralLink) -> None:
    client.get(link.get_absolute_url())
    assert QUESTION in client.get("/").content.decode()
    assert ReferralHit.objects.get().visitor is None
    client.post("/signup/", NEW)
    assert_not_confirmed("User registered", reason="no-hits")


def test_who_says_yes_where_the_link_led_is_credited_to_it(client: Client, link: ReferralLink) -> None:
    page = client.get(link.get_absolute_url())["Location"]
    client.post("/consent/", {"answer": "yes"}, headers={"referer": f"http://testserver{page}"})
    client.post("/signup/", NEW)
    assert_confirmed("User registered", partner=link.partner)


def test_who_says_yes_is_known_from_the_next_link_on_and_asked_no_more(client: Client, link: ReferralLink) -> None:
    client.post("/consent/", {"answer": "yes"})
    client.get(link.get_absolute_url())
    assert QUESTION not in client.get("/").content.decode()
    client.post("/signup/", NEW)
    assert_confirmed("User registered", partner=link.partner)


def test_no_takes_an_earlier_yes_back(client: Client, link: ReferralLink) -> None:
    client.post("/consent/", {"answer": "yes"})
    client.get(link.get_absolute_url())
    client.post("/consent/", {"answer": "no"})
    client.post("/signup/", NEW)
    assert_not_confirmed("User registered", reason="no-hits")


def test_nobody_is_asked_where_it_is_off(client: Client) -> None:
    assert QUESTION not in client.get("/").content.decode()
