"""The newest events of a query as rows of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from livereferrals.dashboard import wording
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.rows import EventRow
    from livereferrals.events.models import Event


class Line(NamedTuple):
    """What is shown of an event, by the names that `Event` has. A model's object takes longer to make than to fetch."""

    seq: int
    type: str
    occurred_at: datetime
    partner: str
    link: uuid.UUID | None
    link_identifier: str
    visitor: uuid.UUID | None
    data: dict[str, Any]


def newest(found: QuerySet[Event], *, rights: Rights, count: int) -> tuple[EventRow, ...]:
    """Return the newest of these numbered events, which are the viewer's to see. Two queries."""
    lines = newest_lines(found, count=count)
    uids = {line.partner for line in lines if line.partner}
    names = dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name")) if uids else {}
    return tuple(wording.event_row(line, partner_name=names.get(line.partner, ""), rights=rights) for line in lines)


def newest_lines(found: QuerySet[Event], *, count: int) -> list[Line]:
    """Return the newest of these numbered events. One query."""
    return [Line._make(row) for row in found.order_by("-seq").values_list(*Line._fields)[:count]]
