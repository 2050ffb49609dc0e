"""What a delivery says: the frozen event object, and the values of the placeholders that come from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livereferrals.events import wire

if TYPE_CHECKING:
    from livereferrals.events.models import Event


def frozen(event: Event) -> dict[str, Any]:
    """Return the event object that a delivery keeps, without its cursor.

    The event has no number before its commit; `with_cursor` adds it when the first attempt starts.
    """
    return {**wire.event_object(event, epoch=""), "cursor": None}
