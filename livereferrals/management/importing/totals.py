"""What imported rows add to the dashboard's totals, which else follow the event log alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from livereferrals.dashboard import rollups
from livereferrals.dashboard.models import RollupState
from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import EventType

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

    from livereferrals.tracking.models import Confirmation, ReferralHit


class Happened(NamedTuple):
    """What counts of an event, of one that the log never had."""

    type: str
    occurred_at: datetime
    data: dict[str, Any]
    partner: str
    link: uuid.UUID | None


def of_hit(hit: ReferralHit, *, partner: str = "") -> Happened:
    """Return what a hit adds; `partner` is the uid."""
    return Happened(EventType.HIT, hit.created_at, {"repeat": hit.repeat}, partner, hit.link_id)


def of_confirmation(confirmation: Confirmation, *, link: uuid.UUID, partner: str = "") -> Happened:
    """Return what a confirmation without amount adds."""
    data = {"trigger": confirmation.trigger, "amount": None, "currency": None}
    return Happened(EventType.CONFIRMATION, confirmation.occurred_at, data, partner, link)


def take_lock(*, using: str) -> RollupState:
    """Take the lock of all who write totals, for the current transaction; two imports take turns by it, too."""
    return lock_singleton(RollupState, using=using)


def add(happened: Iterable[Happened], *, state: RollupState, using: str) -> None:
    """Add to the totals, and note up to when the log cannot vouch for them. In the transaction that holds the lock."""
    happened = list(happened)
    if not happened:
        return
    sums = rollups.sums_of(happened, recent=rollups.recent_since(), using=using)
    rollups.write(sums, using=using)
    latest = max(each.occurred_at for each in happened)
    if state.imported_upto is None or state.imported_upto < latest:
        state.imported_upto = latest
        state.save(using=using, update_fields=["imported_upto"])
