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


def refused(user: User, path: str = PAGE) -> str:
    response = browser_of(user).get(path)
    assert response.status_code == 403
    return response.content.decode()


@pytest.mark.parametrize("is_staff", [True, False], ids=["staff", "customer"])
def test_whoever_is_refused_is_named_and_can_come_back_as_somebody_else(is_staff: bool) -> None:
    """dashboard-38: where another account may see the page, it is shown at once"""
    user = make_user(username="ben", is_staff=is_staff)
    path = f"{PAGE}links/?q=a"
    page = refused(user, path)
    out = "/admin/logout/" if is_staff else "/logout/"
    assert "You are signed in as ben, and this account has no permission to see the referrals dashboard." in page
    assert f'<form action="{out}" method="post"><input type="hidden" name="csrfmiddlewaretoken"' in page
    assert f'<input type="hidden" name="next" value="{path}">' in page
    assert (ADMIN in page) is is_staff
    client = browser_of(user)
    assert client.post(out, {"next": path})["Location"] == path
    client.force_login(make_staff())
    assert client.get(path).status_code == 200


def test_one_page_that_is_refused_is_not_the_dashboard() -> None:
    """dashboard-38: whoever sees others is told of this one, and led back to them"""
    page = refused(viewer(username="eve"), f"{PAGE}triggers/")
    assert "You are signed in as eve, and this account has no permission for this page." in page
    assert f'<a class="lr-button" href="{PAGE}">Go to the overview</a>' in page


def test_an_act_that_is_refused_leads_to_the_overview_afterwards() -> None:
    """dashboard-38: a POST is not repeated by signing in"""
    response = browser_of(make_user()).post(f"{PAGE}tokens/new/")
    assert response.status_code == 403
    assert f'<input type="hidden" name="next" value="{PAGE}">' in response.content.decode()


def test_a_refusal_without_a_way_out_offers_none(settings: Settings) -> None:
    """dashboard-38: how to leave is the host's own matter then"""
    settings.ROOT_URLCONF = "tests.dashboard.bare_urls"
    page = refused(make_user(username="ben"))
    assert "You are signed in as ben" in page
    assert "<form" not in page
    assert "another account" not in page


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
