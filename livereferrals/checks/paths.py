"""Checks of where triggers read their values: a path that the sender's model does not know confirms nothing, in silence."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage
from django.core.checks import Warning as Doubt
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from livereferrals.triggers import dispatch, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.triggers.catalogue import Declared
    from livereferrals.triggers.registry import Resolved

SOURCES: Final = ("user", "reference", "amount", "currency")
NAMED: Final = 12
"""Fields that a hint names at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A path that leads nowhere."""

    model: type[Model]
    """Where it ends."""
    step: str
    """What that does not know."""
    before: str
    """The steps that it does know, with a dot behind them."""


def doubts(entry: Declared, resolved: Resolved) -> Iterator[CheckMessage]:
    """Find paths that the sender's model does not know (W015), where our own receivers read them."""
    sender = resolved.sender
    is_model = inspect.isclass(sender) and issubclass(sender, Model) and not sender._meta.swapped
    if not is_model or not any(resolved.receiver is own for own in dispatch.OWN):
        return
    for name in SOURCES:
        path = getattr(entry.trigger, name)
        lost = None if _is_elsewhere(path) else lost_step(sender, path)
        if lost is not None:
            yield _doubt(entry, name=name, path=path, lost=lost)


def _is_elsewhere(path: object) -> bool:
    """Whether it is a function, a currency itself, or an argument of the signal."""
    if not isinstance(path, str):
        return True
    return path.partition(".")[0] == mapping.ARGUMENTS or mapping.CURRENCY.match(path) is not None


def lost_step(model: type[Model], path: str) -> Lost | None:
    """Return the first step that a model is known not to have; what follows a relation is looked at too.

    What a class says of itself is all that is looked at: no property is run, and a query's annotations cannot be known.
    """
    current: type[Model] | None = model
    before = ""
    for step in path.split("."):
        if current is None:
            return None
        if not _knows(current, step):
            return Lost(model=current, step=step, before=before)
        current, before = _related(current, step), f"{before}{step}."
    return None


def _knows(model: type[Model], step: str) -> bool:
    absent = object()
    if inspect.getattr_static(model, "__getattr__", absent) is not absent:
        return True
    annotated = any(step in vars(each).get("__annotations__", {}) for each in model.__mro__)
    return annotated or inspect.getattr_static(model, step, absent) is not absent


def _related(model: type[Model], step: str) -> type[Model] | None:
    """Return the one model that a step leads to, if it is a relation to one."""
    try:
        field = model._meta.get_field(step)
    except FieldDoesNotExist:
        return None
    found: Any = field.related_model if field.many_to_one or field.one_to_one else None
    return found if inspect.isclass(found) and issubclass(found, Model) else None


def _doubt(entry: Declared, *, name: str, path: str, lost: Lost) -> CheckMessage:
    label = lost.model._meta.label
    return Doubt(
        f"{entry.place}: {name}={path!r} of {entry.trigger.name!r}: {label} has no {lost.step!r}: "
        "unless the signal sends one, nothing is confirmed.",
        hint=f'{_likely(name, lost)} An argument of the signal is written {name}="kwargs.{lost.step}".',
        id="livereferrals.W015",
    )


def _likely(name: str, lost: Lost) -> str:
    """Return what may be meant: for a user what leads to one, else what is written alike, else what there is."""
    fields = {field.name: field for field in lost.model._meta.get_fields() if field.concrete}
    people = [each for each, field in fields.items() if field.related_model is get_user_model()]
    near = people if name == "user" and people else get_close_matches(lost.step, _names(lost.model), n=1)
    if near:
        return f'Did you mean {name}="{lost.before}{near[0]}"?'
    return f"{lost.model._meta.label} has: {', '.join(list(fields)[:NAMED])}."


def _names(model: type[Model]) -> list[str]:
    """Return what the model's own class and its fields are called, without what every model has."""
    return sorted(name for name in set(dir(model)) - set(dir(Model)) if not name.startswith("_"))
