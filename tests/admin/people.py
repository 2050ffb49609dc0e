"""People who use the admin, each with just the permissions that a test gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests.factories import make_user

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import Model


def colleague(*codenames: str) -> User:
    """Make a staff user with these permissions of the app."""
    user = make_user(is_staff=True)
    found = Permission.objects.filter(content_type__app_label="livereferrals", codename__in=codenames)
    assert set(found.values_list("codename", flat=True)) == set(codenames)
    user.user_permissions.set(found)
    return user


def browser_of(user: User) -> Client:
    """Return the browser of somebody who is logged in."""
    client = Client()
    client.force_login(user)
    return client


def change_url(row: Model) -> str:
    """Return the URL of the row's page."""
    return reverse(f"admin:livereferrals_{row._meta.model_name}_change", args=[row.pk])


def list_url(model: str) -> str:
    """Return the URL of a list."""
    return reverse(f"admin:livereferrals_{model}_changelist")


def act_url(row: Model, act: str) -> str:
    """Return the URL of one of the acts that we add to a row."""
    return reverse(f"admin:livereferrals_{row._meta.model_name}_{act}", args=[row.pk])
