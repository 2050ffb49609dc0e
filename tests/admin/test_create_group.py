"""`manage.py livereferrals create-group`."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command

from tests.admin.people import act_url, browser_of, change_url, list_url
from tests.factories import make_confirmation, make_hit, make_partner, make_subscription, make_user

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

NEVER = {
    "view_visitor",
    "allow_plain_http",
    "reveal_secret",
    "manage_tokens",
    "erase_personal_data",
    "view_triggerfiring",
}


def create_group(*arguments: str) -> str:
    out = StringIO()
    call_command("livereferrals", "create-group", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def manager() -> Client:
    """The browser of a partner manager."""
    create_group()
    user = make_user(is_staff=True)
    user.groups.add(Group.objects.get(name="Referral managers"))
    return browser_of(user)


def test_group_is_made_with_one_command() -> None:
    """D-26: and the command says what to do next."""
    said = create_group()
    assert "The group 'Referral managers' was made" in said
    assert "staff status" in said
    codenames = set(Group.objects.get().permissions.values_list("codename", flat=True))
    assert {"change_partner", "reverse_confirmation", "export_referrals", "view_dashboard"} <= codenames
    assert not NEVER & codenames
    assert not any(name.startswith("delete_") for name in codenames)


def test_running_it_again_adds_what_lacks_and_takes_nothing_away() -> None:
    """D-26: so that it can stand in a deployment script."""
    create_group("--name", "Partner team")
    group = Group.objects.get()
    extra = Permission.objects.get(codename="view_visitor", content_type__app_label="livereferrals")
    group.permissions.add(extra)
    group.permissions.remove(Permission.objects.get(codename="change_partner"))
    assert "is up to date" in create_group("--name", "Partner team")
    codenames = set(group.permissions.values_list("codename", flat=True))
    assert {"change_partner", "view_visitor"} <= codenames


def test_without_the_tables_permissions_it_says_what_to_do() -> None:
    """D-26"""
    Permission.objects.filter(codename="export_referrals").delete()
    with pytest.raises(CommandError, match="migrate first"):
        create_group()
    assert not Group.objects.exists()


def test_manager_can_do_the_work_and_no_more(manager: Client) -> None:
    """D-26, D-25: every page of the work opens; people, and what belongs to others, do not."""
    confirmation = make_confirmation(hit=make_hit())
    for row in (make_partner(), make_subscription(), confirmation, confirmation.hit, confirmation.hit.link):
        assert manager.get(change_url(row)).status_code == 200
    for model in ("partner", "referrallink", "subscription", "referralhit", "confirmation", "delivery"):
        assert manager.get(list_url(model)).status_code == 200
    assert manager.get(act_url(confirmation, "reverse")).status_code == 200
    for model in ("visitor", "event"):
        assert manager.get(list_url(model)).status_code == 403
    assert manager.get("/admin/auth/user/").status_code == 403
    assert manager.post(act_url(make_partner(), "delete"), {"post": "yes"}).status_code == 403
