"""Taking events out of what counts, without taking them out of the log.

A number is never given again and the log has no gaps, so that an event stays once it has one: partners may have read it.
An event that is void says so in its `data`, and adds nothing to any total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import F

from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import Event, EventLog

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY: Final = "void"
"""What `data` has more where the event is void."""


def is_void(event: Event) -> bool:
    """Whether the event counts no more."""
    return bool(event.data.get(KEY))


def void(events: Sequence[Event], *, using: str) -> None:
    """Mark these events in the caller's transaction, under the sequencer's lock: numbering changes rows of the same table.

    Hubs hear of it by the log's `revision` and drop what they have encoded. Four statements for a hundred events.
    """
    if not events:
        return
    log = lock_singleton(EventLog, using=using)
    for event in events:
        event.data = {**event.data, KEY: True}
    Event.objects.using(using).bulk_update(events, ["data"], batch_size=100)
    EventLog.objects.using(using).filter(pk=log.pk).update(revision=F("revision") + 1)
