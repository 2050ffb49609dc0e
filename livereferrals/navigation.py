"""Entries of the host's own in the dashboard's bar, as they stand in `LIVEREFERRALS["DASHBOARD_NAVIGATION"]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise

from livereferrals.setting_types import text

KEYS = frozenset({"label", "url_name", "permission"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationEntry:
    """One entry."""

    label: str | Promise
    """What it says; `gettext_lazy` may have made it."""
    url_name: str
    """The name of a URL without arguments."""
    permission: str = ""
    """Who sees it, as `app.codename`; empty: everybody who sees the page."""


def navigation(value: object) -> tuple[NavigationEntry, ...]:
    """Parse a list of dicts with `label`, `url_name` and, where wanted, `permission`."""
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list of dicts, got {value!r}")  # noqa: TRY004 - one kind of mistake
    return tuple(_entry(item) for item in value)


def _entry(value: object) -> NavigationEntry:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a dict, got {value!r}")  # noqa: TRY004 - one kind of mistake
    if unknown := sorted(set(map(str, value)) - KEYS):
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(KEYS))}")
    label = value.get("label")
    permission = value.get("permission", "")
    if permission and (not isinstance(permission, str) or permission.count(".") != 1):
        raise ValueError(f"expected a permission as 'app.codename', got {permission!r}")
    return NavigationEntry(
        label=label if isinstance(label, Promise) else text(label),
        url_name=text(value.get("url_name")),
        permission=permission,
    )
