"""Whether each declared trigger is connected to its signal in this process, and why not."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Model
from django.utils.translation import gettext

from livereferrals.exceptions import ConfigurationError
from livereferrals.triggers import catalogue, firings, registry

if TYPE_CHECKING:
    from livereferrals.triggers.catalogue import Declared
    from livereferrals.triggers.registry import Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One trigger and how it stands."""

    name: str
    place: str
    """Where in the settings it is declared."""
    signal: str
    sender: str
    """Empty: whoever sends."""
    receiver: str
    enabled: bool
    connected: bool
    why_not: tuple[str, ...] = ()
    """What keeps it from firing, as `manage.py check` says it; also of one that is connected and never hears anything."""


def connections() -> tuple[Connection, ...]:
    """Return each declared trigger in the order of the settings; no query."""
    try:
        declared, _ = catalogue.declared()
    except ConfigurationError:
        return ()
    resolved = {each.trigger.name: each for each in registry.connected()}
    return tuple(_connection(entry, resolved.get(entry.trigger.name)) for entry in declared)


def unreadable() -> tuple[str, ...]:
    """Return what is wrong with entries of the settings that are no triggers at all."""
    try:
        _, problems = catalogue.declared()
    except ConfigurationError as error:
        return (str(error),)
    return tuple(f"{problem.place}: {problem.message}" for problem in problems)


def _connection(entry: Declared, resolved: Resolved | None) -> Connection:
    trigger = entry.trigger
    problems = [problem.message for problem in registry.problems_of(entry)]
    is_there = resolved is not None and registry.hears(resolved)
    if resolved is not None and not is_there:
        problems.append(gettext("something has disconnected it from its signal since the start"))
    elif resolved is None and not problems:
        problems.append(gettext("it could not be connected when this process started; start that again"))
    elif resolved is not None and (deaf := _replaced(resolved)):
        problems.append(deaf)
    return Connection(
        name=trigger.name,
        place=entry.place,
        signal=firings.path_of(trigger.signal),
        sender=firings.path_of(trigger.sender),
        receiver=firings.path_of(trigger.receiver),
        enabled=trigger.enabled,
        connected=is_there,
        why_not=tuple(problems),
    )


def _replaced(resolved: Resolved) -> str:
    """Return that the sender is a model that another has replaced, so that nobody sends for it (W004)."""
    sender = resolved.sender
    if inspect.isclass(sender) and issubclass(sender, Model) and sender._meta.swapped:
        return f"sender of {resolved.trigger.name!r}: {sender._meta.label} was replaced by {sender._meta.swapped}"
    return ""
