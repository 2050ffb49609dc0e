"""The newest events of a query as rows of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livereferrals.dashboard import wording
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.rows import EventRow
    from livereferrals.events.models import Event


def newest(found: QuerySet[Event], *, rights: Rights, count: int) -> tuple[EventRow, ...]:
    """Return the newest of these events, which are the viewer's to see. Two queries."""
    events = list(found.order_by("-seq")[:count])
    uids = {event.partner for event in events if event.partner}
    names = dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name")) if uids else {}
    return tuple(wording.event_row(event, partner_name=names.get(event.partner, ""), rights=rights) for event in events)
