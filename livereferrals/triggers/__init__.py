"""Triggers: "this Django signal, from this sender, means that confirmation".

Imported by the host's settings file, so nothing here imports a model or needs settings; the receivers come when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from livereferrals.triggers.declaration import Trigger

if TYPE_CHECKING:
    from livereferrals.triggers.receivers import complete_trigger, object_created, object_saved, signal_sent

__all__ = ["Trigger", "complete_trigger", "object_created", "object_saved", "signal_sent"]


def __getattr__(name: str) -> Any:
    """Return a receiver, imported now that it is used and the apps are there."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("livereferrals.triggers.receivers"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
