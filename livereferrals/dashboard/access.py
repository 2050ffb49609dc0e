"""Who may see the dashboard, what of it, and where those go who are not signed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from django.contrib.auth import get_user
from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.backends.signed_cookies import SessionStore as MemorySession
from django.http import HttpRequest
from django.urls import Resolver404, get_script_prefix, resolve

from livereferrals import routes
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.contrib.sessions.backends.base import SessionBase

VIEW_DASHBOARD = "view_dashboard"
VIEW_AMOUNTS = "view_amounts"
VIEW_TOKENS = "view_feedtoken"
CODENAMES: Final = (
    VIEW_AMOUNTS,
    "view_visitor",
    "view_triggerfiring",
    "view_subscription",
    "view_delivery",
    "view_deliveryattempt",
    "retry_delivery",
    "hold_endpoint",
    "send_test_callback",
    "reverse_confirmation",
    VIEW_TOKENS,
    "manage_tokens",
    "export_referrals",
)
"""What somebody who may see the dashboard may see or do on it besides; all of them of this app."""
PARTNERS_OWN: Final = frozenset(
    {VIEW_AMOUNTS, VIEW_TOKENS, "view_subscription", "view_delivery", "view_deliveryattempt", "export_referrals"}
)
"""What a partner's login may see of what is its own, and take away: what its feed and its own server tell it anyway.

It does nothing there: tokens are made, and deliveries sent again, by staff, whatever else the login may do elsewhere.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a viewer may see; equal ones share their frames."""

    amounts: bool
    codenames: frozenset[str] = frozenset()
    """Those of `CODENAMES` that the viewer has."""
    partners: frozenset[str] | None = None
    """The uids of the partners that a partner's login is narrowed to; nothing: everything is seen."""

    def may(self, codename: str) -> bool:
        """Whether the viewer has this permission."""
        return codename in self.codenames

    @property
    def is_staff(self) -> bool:
        """Whether everything is seen, of whichever partner and of the house."""
        return self.partners is None


def rights_of(user: AbstractBaseUser | AnonymousUser) -> Rights | None:
    """Return what the user may see, or nothing. A staff flag alone gives no right. At most three queries.

    Somebody with `view_dashboard` sees everything, also where it is a partner's login; the login of one or more active
    partners sees what is theirs. An inactive partner's sees nothing, as its feed is closed.
    """
    if _has(user, VIEW_DASHBOARD):
        codenames = frozenset(name for name in CODENAMES if _has(user, name))
        return Rights(amounts=VIEW_AMOUNTS in codenames, codenames=codenames)
    if user.pk is None or not user.is_active:
        return None
    own = frozenset(Partner.objects.filter(user_id=user.pk, active=True).values_list("uid", flat=True))
    return Rights(amounts=True, codenames=PARTNERS_OWN, partners=own) if own else None


def awaits_activation(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user is the login of partners none of which is active. One query."""
    active = list(Partner.objects.filter(user_id=user.pk).values_list("active", flat=True)) if user.pk else []
    return bool(active) and not any(active)


def _has(user: AbstractBaseUser | AnonymousUser, codename: str) -> bool:
    found: bool = user.has_perm(f"livereferrals.{codename}")  # type: ignore[union-attr] # every user model of an admin site has it
    return found


def login_url(back_to: str) -> str:
    """Return where to sign in: `LOGIN_URL`, or the admin's login where that leads nowhere."""
    declared = redirect_to_login(back_to).url
    if _leads_somewhere(declared):
        return declared
    of_admin = routes.path_of("admin:login")
    return declared if of_admin is None else redirect_to_login(back_to, login_url=of_admin).url


def _leads_somewhere(url: str) -> bool:
    """Whether the URL is of another site, or one that this project answers."""
    parts = urlsplit(url)
    if parts.netloc:
        return True
    prefix = get_script_prefix()
    if not parts.path.startswith(prefix):
        return True
    try:
        resolve("/" + parts.path.removeprefix(prefix))
    except Resolver404:
        return False
    return True


class Refusal(StrEnum):
    """Why somebody may not watch; the feed's words for it, which have its close codes."""

    SIGNED_OUT = "unauthorized"
    FORBIDDEN = "forbidden"


def standing(session: SessionBase) -> Rights | Refusal:
    """Return what the session's user may see as of now, read anew from the database. Three to five queries.

    The session's row is only looked at: on a copy, because `get_user` cycles or flushes a session whose hash is old, and
    no new cookie could be sent over an open socket.
    """
    fresh = session.__class__(session.session_key)
    copy = MemorySession()
    copy.update(dict(fresh.items()))
    request = HttpRequest()
    request.session = copy
    user = get_user(request)
    if not user.is_authenticated:
        return Refusal.SIGNED_OUT
    return rights_of(user) or Refusal.FORBIDDEN
