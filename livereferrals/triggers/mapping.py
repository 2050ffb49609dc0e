"""Reading a trigger's values from what a signal sent: paths of attributes, functions, constants (S-12)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ObjectDoesNotExist

if TYPE_CHECKING:
    from livereferrals.triggers.declaration import Source, Trigger

CURRENCY: Final = re.compile(r"[A-Z]{3}\Z")
ARGUMENTS: Final = "kwargs"
"""The first step of a path that means the signal's arguments."""
DISPATCH_ARGUMENTS: Final = frozenset({"signal", "trigger", "affiliate_trigger_name"})
_ABSENT: Final = object()


class Unmapped(LookupError):  # noqa: N818 - says what happened
    """A path of a trigger leads nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a signal sent."""

    sender: Any
    arguments: Mapping[str, Any]

    @property
    def instance(self) -> Any:
        """The signal's instance, or the one argument that is an instance of the sender, or `None`."""
        if "instance" in self.arguments:
            return self.arguments["instance"]
        if not inspect.isclass(self.sender):
            return None
        found = [value for value in self.arguments.values() if isinstance(value, self.sender)]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The values of one signal."""

    user: Any = None
    reference: Any = None
    amount: Any = None
    currency: Any = None


def sent(sender: Any, arguments: Mapping[str, Any]) -> Sent:
    """Return what was sent, without what Django and we have added to it."""
    own = {name: value for name, value in arguments.items() if name not in DISPATCH_ARGUMENTS}
    return Sent(sender=sender, arguments=own)


def holds(trigger: Trigger, *, sent: Sent) -> bool:
    """Whether the trigger's condition holds (S-13)."""
    return trigger.condition is None or bool(trigger.condition(_subject_of(sent)))


def values(trigger: Trigger, *, sent: Sent) -> Values:
    """Return the values that the trigger names.

    Raises:
        Unmapped: a path leads nowhere.
    """
    is_constant = isinstance(trigger.currency, str) and CURRENCY.match(trigger.currency)
    return Values(
        user=read(trigger.user, sent=sent),
        reference=read(trigger.reference, sent=sent),
        amount=read(trigger.amount, sent=sent),
        currency=trigger.currency if is_constant else read(trigger.currency, sent=sent),
    )


def read(source: Source, *, sent: Sent) -> Any:
    """Return the value of one path or function; nothing on the way gives nothing.

    Raises:
        Unmapped: the path leads nowhere.
    """
    if source is None:
        return None
    if callable(source):
        return source(_subject_of(sent))
    first, *rest = source.split(".")
    try:
        value = _first_step(first, sent=sent)
        for step in rest:
            value = _step(value, step)
    except (AttributeError, LookupError, ObjectDoesNotExist) as error:
        raise Unmapped(f"{source!r} leads nowhere: {error}") from error
    return value


def _subject_of(sent: Sent) -> Any:
    """Return what functions are called with: the instance, else the arguments."""
    instance = sent.instance
    return dict(sent.arguments) if instance is None else instance


def _first_step(name: str, *, sent: Sent) -> Any:
    if name == ARGUMENTS:
        return sent.arguments
    instance = sent.instance
    value = _ABSENT if instance is None else getattr(instance, name, _ABSENT)
    return sent.arguments[name] if value is _ABSENT else value


def _step(value: Any, name: str) -> Any:
    if value is None:
        return None
    return value[name] if isinstance(value, Mapping) else getattr(value, name)
