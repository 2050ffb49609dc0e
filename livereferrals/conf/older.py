"""Settings of the two older packages, read where ours say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings as django_settings

if TYPE_CHECKING:
    from collections.abc import Callable

OLD_SETTINGS: Final = (
    "AFFILIATE_QUERY_STRING_KEY",
    "AFFILIATE_SESSION_KEY",
    "AFFILIATE_TRIGGERS",
    "DJANGO_REFERRALS_SETTINGS",
)
OLD_NAMES: Final = {
    "PARAMETERS": "AFFILIATE_QUERY_STRING_KEY and DJANGO_REFERRALS_SETTINGS['URL_PARAM']",
    "PARAMETER_HOPS": "DJANGO_REFERRALS_SETTINGS['URL_PARAM']",
    "COOKIE_NAME": "DJANGO_REFERRALS_SETTINGS['COOKIE_KEY']",
    "COOKIE_MAX_AGE": "DJANGO_REFERRALS_SETTINGS['COOKIE_MAX_AGE']",
    "COOKIE_HTTPONLY": "DJANGO_REFERRALS_SETTINGS['COOKIE_HTTPONLY']",
    "SESSION_KEY": "AFFILIATE_SESSION_KEY",
}
"""Where the older packages kept what a key says now."""


def hype(key: str) -> Callable[[], object | None]:
    """Read a key of django-hype's dict, else nothing."""

    def read() -> object | None:
        old = getattr(django_settings, "DJANGO_REFERRALS_SETTINGS", None) or {}
        return old.get(key)

    return read


def parameters() -> object | None:
    """Build `PARAMETERS` from the names that the older packages used (P-33), else nothing."""
    link = hype("URL_PARAM")()
    partner = getattr(django_settings, "AFFILIATE_QUERY_STRING_KEY", None)
    if link is None and partner is None:
        return None
    return {str(link or "ref"): "link", str(partner or "affiliate_id"): "partner"}


def hops() -> object | None:
    """Send django-hype's own parameter by way of the link's URL, as it did, else nothing."""
    link = hype("URL_PARAM")()
    return None if link is None else {str(link): "link_url"}


def session_key() -> object | None:
    """Read the key of the session in which django-affiliate-tracking kept the visitor, else nothing."""
    return getattr(django_settings, "AFFILIATE_SESSION_KEY", None)


def old_cookie_name() -> str:
    """Return the name of the cookie that django-hype set (C-18)."""
    return str(hype("COOKIE_KEY")() or "django-hype__rk")
