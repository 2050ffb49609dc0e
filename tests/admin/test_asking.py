"""The button "Which hit would get it" on a visitor's page."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from livereferrals.admin import asking
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation
from livereferrals.triggers import Trigger
from tests.admin.people import browser_of, change_url, colleague
from tests.factories import home_link, make_hit, make_partner, make_subscription, make_user, make_visitor

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _triggers(settings: Settings) -> None:
    settings.LIVEREFERRALS = {
        "TRIGGERS": [
            Trigger(name, signal="tests.shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent")
            for name in ("Order paid", "Contract signed")
        ],
        "CALLBACKS": {"WORKER": "off"},
    }


def test_page_says_for_every_trigger_who_would_be_credited_and_writes_nothing(staff: Client) -> None:
    """A-14: in plain words, with the reasons for each hit."""
    partner = make_partner(name="Acme")
    make_subscription(partner=partner)
    hit = make_hit(link=home_link(partner))
    assert hit.visitor is not None
    assert asking.address(hit.visitor) in staff.get(change_url(hit.visitor)).content.decode()
    page = staff.get(asking.address(hit.visitor)).content.decode()
    assert f"Acme would be credited, for its link {partner.uid}." in page
    assert change_url(hit) in page
    assert "Nobody would be credited: the partner is not subscribed to this trigger." in page
    assert not Confirmation.objects.exists()
    assert not Event.objects.exists()


def test_claimed_visitor_is_asked_about_as_its_user(staff: Client) -> None:
    """A-14: hits on the user's other browsers count."""
    user, partner = make_user(username="bob"), make_partner(name="Acme")
    make_subscription(partner=partner)
    make_hit(link=home_link(partner), user=user)
    page = staff.get(asking.address(make_visitor(user=user))).content.decode()
    assert "claimed by bob" in page
    assert "Acme would be credited" in page


def test_visitor_without_hits(staff: Client) -> None:
    """A-14"""
    page = staff.get(asking.address(make_visitor())).content.decode()
    assert page.count("Nobody would be credited: this person is not known to have followed a link.") == 2


def test_without_triggers_the_page_says_so(staff: Client, settings: Settings) -> None:
    """A-14"""
    settings.LIVEREFERRALS = {"TRIGGERS": [], "CALLBACKS": {"WORKER": "off"}}
    assert b"No trigger is in the settings" in staff.get(asking.address(make_visitor())).content


def test_asking_needs_to_see_people_and_hits() -> None:
    """A-14, D-25"""
    visitor = make_visitor()
    some = browser_of(colleague("view_visitor"))
    assert asking.address(visitor) not in some.get(change_url(visitor)).content.decode()
    assert some.get(asking.address(visitor)).status_code == 403
    assert browser_of(colleague("view_visitor", "view_referralhit")).get(asking.address(visitor)).status_code == 200


@pytest.mark.parametrize("pk", [str(uuid.uuid4()), "nonsense"], ids=["unknown", "no-id"])
def test_unknown_visitor_is_not_found(staff: Client, pk: str) -> None:
    """A-14"""
    assert staff.get(reverse(f"admin:{asking.NAME}", args=[pk])).status_code == 404
