"""What the host project adds to the bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.urls import reverse

from livereferrals import conf

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the host's own, for somebody who may see it."""

    label: str
    url: str


def entries_for(user: AbstractBaseUser | AnonymousUser) -> tuple[Entry, ...]:
    """Return the host's own entries that the user may see, in the active language."""
    return tuple(
        Entry(label=str(entry.label), url=reverse(entry.url_name))
        for entry in conf.settings.DASHBOARD_NAVIGATION
        if not entry.permission or user.has_perm(entry.permission)  # type: ignore[union-attr] # as in `access`
    )
