"""Checks of what is fine on a developer's machine and not where the public comes."""

from __future__ import annotations

from typing import Any, Final

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Doubt
from django.db import connections, router

from livereferrals import conf
from livereferrals.callbacks import checking
from livereferrals.callbacks.openings import Opening
from livereferrals.checks.values import usable_callbacks
from livereferrals.events.models import Event
from livereferrals.exceptions import ConfigurationError

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


def check_callback_network(**kwargs: Any) -> list[CheckMessage]:
    """Find entries of `ALLOW` and `BLOCK`, and a `PROXY`, that cannot be read (E014)."""
    hints = {
        checking.rules: '"CALLBACKS": {"ALLOW": ["10.1.2.0/24:9000", "partner.internal", "*.svc.internal:*"]}',
        checking.proxy: '"CALLBACKS": {"PROXY": "http://proxy.internal:3128"}',
    }
    found: list[CheckMessage] = []
    for read, hint in hints.items():
        try:
            read()
        except ConfigurationError as error:
            # A value of the wrong type is what E001 says.
            if not any(problem.key == error.key for problem in conf.problems()):
                found.append(Error(str(error), hint=f"For example: {hint}", id="livereferrals.E014"))
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
    """Whether the entry is a network, or one address, that is not public."""
    try:
        network = Opening.parse(entry).network
    except ValueError:
        return False
    return network is not None and network.is_private
