"""The books: what the database holds of hits, events, confirmations, deliveries and totals, once all has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Sum

from livereferrals.callbacks.models import Delivery, Subscription
from livereferrals.dashboard import rebuilding
from livereferrals.dashboard.models import DailyTotal
from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, ReferralHit

SUMS: Final = ("hits", "visitors", "confirmations", "amount_micros")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event of the log."""

    id: str
    seq: int | None
    type: str
    partner: str
    subject: str
    """The hit or confirmation that it tells of; empty for other types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRow:
    """A confirmation."""

    id: str
    trigger: str
    reference: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """What is owed, and what has become of it."""

    id: str
    confirmation: str
    subscription: int
    state: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What the database holds, once everything has come to rest."""

    hits: dict[str, str]
    """Visitor by id; crawlers' hits left out, which have no event."""
    events: list[EventRow]
    oldest: int
    head: int
    confirmations: list[ConfirmationRow]
    owed: list[tuple[str, int]]
    """A confirmation and a subscription, for each debt that follows from the two."""
    deliveries: list[DeliveryRow]
    rows: dict[str, int]
    """What the rows add up to."""
    totals: dict[str, int]
    """What the dashboard's totals say of the same."""
    differences: list[str]
    """Where totals are not what the log says."""


def read_books() -> Books:
    """Read everything; the totals are brought up to date before."""
    differences = [str(each) for each in rebuilding.check()]
    hits = ReferralHit.objects.filter(bot=False)
    confirmations = list(Confirmation.objects.select_related("user"))
    sums = DailyTotal.objects.aggregate(*map(Sum, SUMS))
    bounds = log.bounds()
    return Books(
        hits={str(hit): str(visitor) for hit, visitor in hits.values_list("pk", "visitor")},
        events=[_event(*row) for row in Event.objects.values_list("pk", "seq", "type", "partner", "data")],
        oldest=bounds.oldest,
        head=bounds.head,
        confirmations=[_confirmation(row) for row in confirmations],
        owed=_owed(confirmations),
        deliveries=_deliveries(),
        rows={
            "hits": hits.count(),
            "visitors": hits.filter(repeat=False).count(),
            "confirmations": len(confirmations),
            "amount_micros": sum(row.amount_micros or 0 for row in confirmations),
        },
        totals={name: sums[f"{name}__sum"] or 0 for name in SUMS},
        differences=differences,
    )


def _event(pk: Any, seq: int | None, kind: str, partner: str, data: dict[str, Any]) -> EventRow:
    return EventRow(id=str(pk), seq=seq, type=kind, partner=partner, subject=data.get(kind) or "")


def _confirmation(row: Confirmation) -> ConfirmationRow:
    user = "" if row.user is None else row.user.get_username()
    return ConfirmationRow(id=str(row.pk), trigger=row.trigger, reference=row.reference or "", user=user)


def _owed(confirmations: list[Confirmation]) -> list[tuple[str, int]]:
    subscriptions = list(Subscription.objects.exclude(callback_url=""))
    return [
        (str(row.pk), each.pk)
        for row in confirmations
        for each in subscriptions
        if (each.partner_id, each.trigger) == (row.partner_id, row.trigger)
    ]


def _deliveries() -> list[DeliveryRow]:
    rows = Delivery.objects.filter(kind="confirmation")
    return [
        DeliveryRow(
            id=str(row.pk),
            confirmation=str(row.confirmation_id),
            subscription=row.subscription_id,
            state=row.state,
            attempts=row.attempts,
        )
        for row in rows
    ]
