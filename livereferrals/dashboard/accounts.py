"""Who is signed in, and where that person may go from here: the admin, and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livereferrals import routes

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

LOGOUT: Final = "logout"
"""The name that `django.contrib.auth.urls` gives its view, which wants a POST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The person who looks at a page."""

    name: str
    admin_url: str
    """Empty: there is no admin, or this person may not enter it."""
    logout_url: str
    """Where a form is posted to sign out; empty: only the host knows how."""


def of(user: AbstractBaseUser | AnonymousUser) -> Account:
    """Return the account of somebody who is signed in. Staff leave by the admin where there is one, others by the host."""
    may_enter = user.is_active and getattr(user, "is_staff", False)
    admin_url = routes.path_of("admin:index") if may_enter else None
    logout_url = (routes.path_of("admin:logout") if admin_url else None) or routes.path_of(LOGOUT)
    return Account(name=user.get_username(), admin_url=admin_url or "", logout_url=logout_url or "")
