"""Ways out of the dashboard, to the admin and to the door, and the way in from the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.factories import make_partner, make_staff, make_user

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from pytest_django import Settings

pytestmark = pytest.mark.django_db
PAGE = "/referrals/"
ADMIN = 'href="/admin/"'


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def viewer(**values: object) -> User:
    user: User = make_user(**values)
    user.user_permissions.add(Permission.objects.get(codename="view_dashboard"))
    return user


def shown(user: User) -> str:
    return browser_of(user).get(PAGE).content.decode()


def test_staff_go_to_the_admin_and_log_out_there() -> None:
    """dashboard-38: whoever has two ways in needs one out"""
    staff = make_staff()
    page = shown(staff)
    assert ADMIN in page
    assert '<form action="/admin/logout/" method="post"><input type="hidden" name="csrfmiddlewaretoken"' in page
    client = browser_of(staff)
    assert client.post(reverse("admin:logout")).status_code == 200
    assert client.get(PAGE).status_code == 302


def test_others_log_out_where_the_host_lets_them_and_see_no_admin() -> None:
    """dashboard-38"""
    partner = make_user()
    make_partner(user=partner)
    for user in (viewer(), partner):
        page = shown(user)
        assert ADMIN not in page
        assert '<form action="/logout/" method="post">' in page


def test_a_host_with_neither_shows_the_name_alone(settings: Settings) -> None:
    """dashboard-38: how to leave is the host's own matter then"""
    settings.ROOT_URLCONF = "tests.dashboard.bare_urls"
    page = shown(make_staff(username="ann"))
    assert '<span class="lr-bar__user">ann</span>' in page
    assert "<form action" not in page.split("<main", 1)[0]


def test_the_admin_leads_to_the_dashboard_for_those_who_may_see_it() -> None:
    """D-25: from the start page of the app, and from a partner to its page"""
    partner = make_partner()
    places = {
        reverse("admin:app_list", args=["livereferrals"]): f'href="{PAGE}"',
        reverse("admin:livereferrals_partner_change", args=[partner.pk]): f'href="{PAGE}partners/{partner.uid}/"',
    }
    staff = browser_of(make_staff())
    looker = make_user(is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_partner"))
    other = browser_of(looker)
    for place, link in places.items():
        assert link in staff.get(place).content.decode()
        assert link not in other.get(place).content.decode()
