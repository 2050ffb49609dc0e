"""Narrowing to what a viewer may see: the one place that page, frame, export and JSON go through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from django.db import models

from livereferrals.callbacks.models import Delivery, DeliveryAttempt, Endpoint, Subscription
from livereferrals.dashboard.models import DailyPartnerTotal
from livereferrals.events.models import Event
from livereferrals.streaming.models import FeedToken
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Reversal

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights
    from livereferrals.events.cursors import Cursor

Row = TypeVar("Row", bound=models.Model)

PARTNER_OF: Final[dict[type[models.Model], str]] = {
    Partner: "uid",
    ReferralLink: "partner__uid",
    ReferralHit: "partner__uid",
    Confirmation: "partner__uid",
    Reversal: "confirmation__partner__uid",
    Subscription: "partner__uid",
    Endpoint: "subscription__partner__uid",
    Delivery: "subscription__partner__uid",
    DeliveryAttempt: "delivery__subscription__partner__uid",
    FeedToken: "partner__uid",
    Event: "partner",
    DailyPartnerTotal: "partner",
}
"""How a row leads to its partner's uid."""
KEYED: Final = frozenset({ReferralLink, ReferralHit, Confirmation})
"""Long lists that are narrowed by the partners' keys, not by a join: given the join, PostgreSQL expects any partner's rows
to be many and reads everybody's by time until it has found enough (a million hits: 600 ms instead of 20). Deliveries are
narrowed likewise, by the keys of the partners' subscriptions."""


def visible(rows: models.QuerySet[Row], *, rights: Rights) -> models.QuerySet[Row]:
    """Return those of the rows that the viewer may see: all, or those of the viewer's own partners. At most one query.

    Raises:
        KeyError: nobody has said how rows of this model lead to a partner, so that a partner's login sees none of them.
    """
    if rights.partners is None:
        return rows
    uids = sorted(rights.partners)
    if rows.model is Delivery:
        owed = Subscription.objects.using(rows.db).filter(partner__uid__in=uids).values_list("pk", flat=True)
        return rows.filter(subscription__in=list(owed))
    if rows.model in KEYED:
        keys = Partner.objects.using(rows.db).filter(uid__in=uids).values_list("pk", flat=True)
        return rows.filter(partner__in=list(keys))
    return rows.filter(**{f"{PARTNER_OF[rows.model]}__in": uids})


def new_events(shown: Cursor | None, head: Cursor | None, *, rights: Rights) -> int:
    """Return how many events that the viewer may see lie after what is shown. No query for who sees everything."""
    if shown is None or head is None or head.epoch != shown.epoch:
        return 0
    if rights.is_staff:
        return head.seq - shown.seq
    return visible(Event.objects.filter(seq__gt=shown.seq, seq__lte=head.seq), rights=rights).count()
