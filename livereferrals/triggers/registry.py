"""The triggers of the settings, resolved and connected to their signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.core.signals import setting_changed
from django.dispatch import Signal
from django.utils.functional import LazyObject, Promise
from django.utils.module_loading import import_string

from livereferrals import conf
from livereferrals.triggers import catalogue
from livereferrals.triggers.catalogue import Declared, Problem, trigger, triggers
from livereferrals.triggers.declaration import OLD_RECEIVERS
from livereferrals.triggers.dispatch import dispatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from livereferrals.triggers.declaration import Trigger

__all__ = [
    "Resolved",
    "connect_all",
    "connected",
    "disconnect_all",
    "load_receiver",
    "load_sender",
    "load_signal",
    "problems_of",
    "resolve",
    "trigger",
    "triggers",
]

UID: Final = "livereferrals.trigger:"
"""Begins the `dispatch_uid` of each trigger: one receiver for a trigger, however often it is connected (S-09)."""
READ_AGAIN_ON: Final = (conf.ROOT, *conf.OLD_SETTINGS, "AUTH_USER_MODEL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A trigger with the objects that its declaration names."""

    trigger: Trigger
    signal: Signal
    receiver: Callable[..., Any]
    sender: Any


_connected: list[Resolved] = []


# --- resolving ----------------------------------------------------------------------------------------------------------------


def resolve(entry: Declared) -> Resolved | Problem:
    """Return the objects that a trigger names, or the first mistake in it."""
    return next((problem for problem in problems_of(entry)), None) or _resolved(entry)


def problems_of(entry: Declared) -> Iterator[Problem]:
    """Yield every mistake in what a trigger names."""
    for part, load in (("signal", load_signal), ("receiver", load_receiver), ("sender", load_sender)):
        try:
            load(getattr(entry.trigger, part))
        except Exception as error:  # noqa: BLE001 - it imports the host's modules, which may fail in any way
            message = f"{part} of {entry.trigger.name!r}: {error}"
            yield Problem(part=part, place=entry.place, message=message)


def _resolved(entry: Declared) -> Resolved:
    declaration = entry.trigger
    return Resolved(
        trigger=declaration,
        signal=load_signal(declaration.signal),
        receiver=load_receiver(declaration.receiver),
        sender=load_sender(declaration.sender),
    )


def load_signal(value: object) -> Signal:
    """Return the signal itself.

    Raises:
        ImportError: there is nothing at that path.
        ValueError: it is not a signal.
    """
    found = import_string(value) if isinstance(value, str) else value
    if not isinstance(found, Signal):
        raise ValueError(f"{value!r} is not a signal")  # noqa: TRY004 - one class for every mistake in a value
    return found


def load_receiver(value: object) -> Callable[..., Any]:
    """Return the receiver itself; the old package's paths are understood (S-03).

    Raises:
        ImportError: there is nothing at that path.
        ValueError: it cannot be called.
    """
    found: Any = import_string(OLD_RECEIVERS.get(value, value)) if isinstance(value, str) else value
    if not callable(found):
        raise ValueError(f"{value!r} cannot be called")  # noqa: TRY004 - as above
    receiver: Callable[..., Any] = found
    return receiver


def load_sender(value: object) -> Any:
    """Return the sender itself: a model, a class, anything else that a signal is sent by, or `None` for all (S-04).

    Raises:
        ImportError: there is nothing at that path.
        ValueError: the text is neither `app.Model` nor a dotted path.
    """
    if isinstance(value, Promise):
        value = str(value)
    if isinstance(value, LazyObject):
        return _unwrapped(value)
    if not isinstance(value, str):
        return value
    if "." not in value:
        raise ValueError(f"{value!r} is neither app.Model nor a dotted path")
    if value.count(".") == 1:
        try:
            return apps.get_model(value)
        except LookupError as error:
            return _import_sender(value, error)
    return import_string(value)


def _import_sender(value: str, error: LookupError) -> Any:
    """Import what looked like a model's label; a module of one part may hold it as well."""
    try:
        return import_string(value)
    except ImportError:
        raise ValueError(str(error.args[0])) from error


def _unwrapped(lazy: LazyObject[Any]) -> Any:
    """Return what a lazy object stands for: signals compare senders by identity."""
    _, arguments = lazy.__reduce__()
    return arguments[0]


# --- connecting ---------------------------------------------------------------------------------------------------------------


def connect_all() -> None:
    """Connect each usable trigger to its signal, anew; log the others."""
    disconnect_all()
    for entry in catalogue.readable():
        found = resolve(entry)
        if isinstance(found, Problem):
            catalogue.log_skipped(found)
            continue
        found.signal.connect(
            dispatcher(found.trigger, found.receiver),
            sender=found.sender,
            weak=False,
            dispatch_uid=UID + found.trigger.name,
        )
        _connected.append(found)


def disconnect_all() -> None:
    """Take every trigger off its signal."""
    for each in _connected:
        each.signal.disconnect(sender=each.sender, dispatch_uid=UID + each.trigger.name)
    _connected.clear()
    catalogue.forget()


def connected() -> tuple[Resolved, ...]:
    """Return the triggers that are connected in this process."""
    return tuple(_connected)


def hears(resolved: Resolved) -> bool:
    """Whether the trigger is still on its signal: a host's code or test may have taken everybody off it."""
    uid = UID + resolved.trigger.name
    return any(key[0] == uid for key, *_ in resolved.signal.receivers)


def _read_again(*, setting: str, **kwargs: object) -> None:
    """Follow a change of the settings, in tests (S-10); before the apps are ready there is nothing to follow."""
    if setting in READ_AGAIN_ON and apps.ready:
        connect_all()


setting_changed.connect(_read_again, dispatch_uid="livereferrals.triggers.registry")
