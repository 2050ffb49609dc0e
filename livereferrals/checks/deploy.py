"""Checks of what is fine on a developer's machine and not where the public comes."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any, Final

from django.core.checks import CheckMessage
from django.core.checks import Warning as Doubt
from django.db import connections, router

from livereferrals import conf
from livereferrals.checks.values import usable_callbacks
from livereferrals.events.models import Event

IN_MEMORY: Final = "channels.layers.InMemoryChannelLayer"
LAYER: Final = (
    'CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", '
    '"CONFIG": {"hosts": ["redis://127.0.0.1:6379/0"]}}}'
)
DATABASE: Final = (
    'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "mysite", "USER": "mysite"}}'
)


def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Find, in `check --deploy`, what serves one process alone (W008)."""
    if conf.host("DEBUG"):
        return []
    found: list[CheckMessage] = []
    layer = (conf.host("CHANNEL_LAYERS") or {}).get("default", {}).get("BACKEND", IN_MEMORY)
    if layer == IN_MEMORY:
        message = "The channel layer reaches no other process: dashboards and feeds there are told a second later."
        found.append(Doubt(message, hint=LAYER, id="livereferrals.W008"))
    engine = str(connections.settings[router.db_for_write(Event)]["ENGINE"])
    if engine.endswith(("sqlite3", "spatialite")):
        message = "The database is SQLite, which has one writer at a time and cannot be shared by machines."
        found.append(Doubt(message, hint=DATABASE, id="livereferrals.W008"))
    return found


def check_openings(**kwargs: Any) -> list[CheckMessage]:
    """Find networks of your own that callbacks may reach while the public is served (W012)."""
    if conf.host("DEBUG"):
        return []
    return [
        Doubt(
            f"{conf.callbacks.path}['ALLOW'] opens the private network {entry!r} to partners' callback URLs.",
            hint='Name the one server that is meant: "CALLBACKS": {"ALLOW": ["partner.internal:8443"]}, or remove it.',
            id="livereferrals.W012",
        )
        for entry in usable_callbacks("ALLOW")
        if _is_private_network(entry)
    ]


def _is_private_network(entry: str) -> bool:
    """Whether the entry is a network, or one address with or without a port, that is not public."""
    place = entry.strip("[").partition("]")[0] if entry.startswith("[") else entry
    for text in (place, place.rpartition(":")[0]):
        try:
            return ip_network(text, strict=False).is_private
        except ValueError:
            continue
    return False
