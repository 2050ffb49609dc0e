"""Erasing a person's data in the admin: asked first, with a permission of its own, and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from livereferrals import api
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.admin.people import browser_of, colleague
from tests.factories import make_hit, make_staff, make_user, make_visitor

if TYPE_CHECKING:
    from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def person() -> User:
    return make_user(username="Jane Roe")


@pytest.fixture
def visitor(person: User) -> Visitor:
    found = make_visitor(user=person)
    make_hit(visitor=found)
    return found


def erase_url(visitor: Visitor) -> str:
    return reverse("admin:livereferrals_visitor_erase", args=[visitor.pk])


def test_erasure_is_asked_for_done_and_recorded(client: Client, person: User, visitor: Visitor) -> None:
    """Y-03, D-27: what goes and what stays is said before; who did it is known, and the entry names nobody."""
    boss = make_staff()
    client.force_login(boss)
    page = client.get(reverse("admin:livereferrals_visitor_change", args=[visitor.pk])).content.decode()
    assert erase_url(visitor) in page
    question = client.get(erase_url(visitor)).content.decode()
    assert "Jane Roe" in question
    assert "1 hit" in question
    assert Visitor.objects.filter(user=person).exists()
    answer = client.post(erase_url(visitor), follow=True)
    assert "1 visitor is gone" in answer.content.decode()
    assert not Visitor.objects.exists()
    assert ReferralHit.objects.get().user is None
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.object_repr) == (boss, str(person.pk), f"user {person.pk}")
    assert "erased" in entry.change_message


def test_erasure_through_the_api_is_recorded_for_who_asked(person: User, visitor: Visitor) -> None:
    """Y-03: and without somebody who asked there is the line in the log alone."""
    boss = make_staff()
    api.erase_user(person, by=boss)
    assert [entry.user for entry in LogEntry.objects.all()] == [boss]
    api.erase_user(person)
    assert LogEntry.objects.count() == 1


def test_visitor_of_nobody_cannot_be_erased(client: Client) -> None:
    """Y-03: it leads to no person."""
    client.force_login(make_staff())
    nobody = make_visitor()
    page = client.get(reverse("admin:livereferrals_visitor_change", args=[nobody.pk])).content.decode()
    assert erase_url(nobody) not in page
    assert client.post(erase_url(nobody)).status_code == 404


@pytest.mark.parametrize("rights", [["view_visitor"], ["erase_personal_data"]], ids=["sees", "erases-unseen"])
def test_erasure_needs_its_permission_and_sight(visitor: Visitor, rights: list[str]) -> None:
    """Y-03, D-25: seeing people is not yet erasing them, and nobody erases whom they may not see."""
    browser = browser_of(colleague(*rights))
    assert browser.get(erase_url(visitor)).status_code == 403
    assert browser.post(erase_url(visitor)).status_code == 403
    assert Visitor.objects.exists()


def test_erasure_needs_a_token_of_the_form(visitor: Visitor) -> None:
    """Y-03, callback-S16: a foreign page cannot have it pressed."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_staff())
    assert browser.post(erase_url(visitor)).status_code == 403
    assert Visitor.objects.exists()
