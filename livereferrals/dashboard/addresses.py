"""Addresses of the dashboard's pages, alone and under filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse

if TYPE_CHECKING:
    from livereferrals.dashboard.filters import Filters


def address(name: str, subject: object = "") -> str:
    """Return the path of a page, by its URL name and what it is about."""
    return reverse(f"livereferrals_dashboard:{name}", args=[subject] if subject else None)


def with_query(url: str, filters: Filters) -> str:
    """Return the address of the page at `url` under these filters."""
    query = filters.query()
    return f"{url}?{query}" if query else url
