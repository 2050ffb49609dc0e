"""Addresses that a host may not have: the admin, links, dashboard and log-out are each included, or not, in its `urls.py`."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse


def path_of(name: str, *arguments: object) -> str | None:
    """Return the path of a URL by its name; nothing where the host has none of this name.

    Where it has to be there, as our own pages have to for one another, `reverse` says what is missing.
    """
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return None
