"""The triggers that the settings declare, by name."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from livereferrals import conf, ids
from livereferrals.exceptions import ConfigurationError
from livereferrals.triggers.declaration import Trigger, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A trigger and the place in the settings that declares it."""

    trigger: Trigger
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A mistake in the declaration of a trigger."""

    part: str
    """`entry`, `name`, `signal`, `receiver` or `sender`."""
    place: str
    """Where in the settings it stands."""
    message: str
    """What is wrong."""


def declared() -> tuple[list[Declared], list[Problem]]:
    """Return the triggers in the order of the settings, and the entries that are none; of one name the first counts.

    Raises:
        ConfigurationError: one of the settings is not a list.
    """
    found: dict[str, Declared] = {}
    problems: list[Problem] = []
    for place, entry in conf.settings.trigger_entries():
        try:
            read = read_entry(entry)
        except ValueError as error:
            problems.append(Problem(part="entry", place=place, message=str(error)))
            continue
        if read.name in found:
            message = f"the name {read.name!r} stands at {found[read.name].place} too"
            problems.append(Problem(part="name", place=place, message=message))
            continue
        found[read.name] = Declared(trigger=read, place=place)
    return list(found.values()), problems


def readable() -> list[Declared]:
    """Return the triggers that can be read; log the rest, because a bad one must not stop the site (S-07)."""
    try:
        found, problems = declared()
    except ConfigurationError as error:
        logger.error("No trigger is used: %s", error, extra={"action": "triggers.unreadable"})  # noqa: TRY400 - told whole
        return []
    for problem in problems:
        log_skipped(problem)
    return found


def log_skipped(problem: Problem) -> None:
    """Say that a trigger is left out."""
    logger.error(
        "A trigger is left out, %s: %s. Run manage.py check.",
        problem.place,
        problem.message,
        extra={"action": "trigger.skipped", "place": problem.place},
    )


def triggers() -> tuple[Trigger, ...]:
    """Return every readable trigger of the settings, in their order; parsed once."""
    return tuple(_by_name().values())


def trigger(name: str) -> Trigger | None:
    """Return the trigger of this name; else log once that there is none, and return `None`."""
    found = _by_name().get(name)
    if found is None:
        _tell_unknown(name)
    return found


def named(name: str) -> Trigger:
    """Return the trigger of this name, or one that is not declared and confirms nothing."""
    return trigger(name) or Trigger(name, signal=None, receiver="")


def require(names: Iterable[str]) -> None:
    """Refuse names that no trigger of the settings has: a subscription to one would never be called.

    Raises:
        ValueError: one of them is none; the message lists those that there are.
    """
    declared = {each.name for each in triggers()}
    for name in names:
        if name not in declared:
            known = ", ".join(map(repr, sorted(declared))) or "none"
            raise ValueError(f"No trigger is named {name!r}. There are: {known}.")


def next_reference(name: str) -> str | None:
    """Return a reference that nobody has, for a trigger that reads one: whoever asks what the next success would bring.

    Without it the question is of a trigger that confirms a person once, and the answer another one.
    """
    return str(ids.new_uuid()) if named(name).reference is not None else None


def forget() -> None:
    """Read the settings again at the next use."""
    _by_name.cache_clear()
    _tell_unknown.cache_clear()


@cache
def _by_name() -> dict[str, Trigger]:
    return {each.trigger.name: each.trigger for each in readable()}


@lru_cache(maxsize=1000)
def _tell_unknown(name: str) -> None:
    """Log the name, once for each: the cache remembers whom it has told."""
    logger.warning(
        "There is no trigger %r in the settings.", name, extra={"action": "trigger.unknown", "trigger": name}
    )
