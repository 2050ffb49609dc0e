"""The outbox: who is subscribed, and the deliveries owed to them, written in the host's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import router, transaction
from django.db.models import Q, Subquery

from livereferrals.callbacks import clock, payload
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState, EndReason, Method, Subscription
from livereferrals.callbacks.notices import delivery_entry
from livereferrals.events import log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.events.models import Event
    from livereferrals.tracking.models import Confirmation, Reversal

SENDS_REVERSALS = Q(method=Method.POST, send_reversals=True) | Q(~Q(reversal_url=""), method=Method.GET)
"""Whether a subscription wants to be called when a confirmation is taken back (callbacks, section 1)."""


def subscribed_partners(trigger: str, partner_ids: Iterable[int]) -> frozenset[int]:
    """Return those of the partners that have a subscription to the trigger, archived ones aside. One query.

    The state of an endpoint does not matter: a pause holds deliveries and never takes credit away.
    """
    wanted = set(partner_ids)
    if not wanted:
        return frozenset()
    return frozenset(subscriptions_to(trigger).filter(partner__in=wanted).values_list("partner_id", flat=True))


def subscriptions_to(trigger: str) -> QuerySet[Subscription]:
    """Return the subscriptions to the trigger, archived ones aside. No query yet."""
    return Subscription.objects.filter(trigger=trigger, archived_at__isnull=True)


def owe(confirmation: Confirmation, event: Event) -> list[Delivery]:
    """Write what is owed for a confirmation: a delivery for each subscription of its partner to its trigger.

    Call it in the transaction that writes the confirmation and its event, so that the debt commits or vanishes with
    them. One query, one insert. A subscription without a callback URL is fed by the feed alone and owed nothing here.
    """
    if confirmation.partner_id is None:
        return []
    subscriptions = clock.with_database_time(
        subscriptions_to(confirmation.trigger)
        .using(_alias())
        .filter(partner=confirmation.partner_id)
        .exclude(callback_url="")
    )
    rows = []
    for subscription in subscriptions:
        now = clock.time_of(subscription)
        rows.append(
            Delivery(
                subscription=subscription,
                confirmation=confirmation,
                kind=DeliveryKind.CONFIRMATION,
                event=event.id,
                payload=payload.frozen(event),
                due_at=now,
                created_at=now,
            )
        )
    return _insert(rows)


def owe_reversal(reversal: Reversal, event: Event) -> list[Delivery]:
    """Write what is owed for a reversal to those who were owed its confirmation (N-12).

    Whoever has not been called yet never will be, if the confirmation is taken back as a whole (transition 10). The
    others get the confirmation first and then the reversal, where their subscription wants it. Call it in the
    transaction that writes the reversal and its event. Up to three queries and three inserts or updates.
    """
    now = clock.now(_alias())
    if not reversal.partial:
        _cancel_unsent(reversal.confirmation, now=now)
    rows = [
        Delivery(
            subscription_id=told.subscription_id,
            confirmation=reversal.confirmation,
            kind=DeliveryKind.REVERSAL,
            event=event.id,
            payload=payload.frozen(event),
            after=told,
            due_at=now,
            created_at=now,
        )
        for told in _told(reversal.confirmation)
    ]
    return _insert(rows)


def _told(confirmation: Confirmation) -> QuerySet[Delivery]:
    """Return the confirmation's deliveries that a reversal follows: those that are made, or may have been."""
    wanting = Subscription.objects.filter(SENDS_REVERSALS, archived_at__isnull=True)
    never_begun = Q(state=DeliveryState.CANCELLED, attempts=0)
    return (
        Delivery.objects.using(_alias())
        .filter(confirmation=confirmation, kind=DeliveryKind.CONFIRMATION, subscription__in=wanting.values("pk"))
        .exclude(never_begun)
        .order_by("id")
    )


def _cancel_unsent(confirmation: Confirmation, *, now: datetime) -> None:
    """Cancel what has not begun; a worker passes by the rows until this transaction ends.

    The state is part of the update, not looked at before: a row that a worker is starting meanwhile is left to it.
    """
    unsent = Delivery.objects.using(_alias()).filter(confirmation=confirmation, state=DeliveryState.WAITING, attempts=0)
    ended = {"state": DeliveryState.CANCELLED, "end_reason": EndReason.REVERSED, "finished_at": now}
    if not unsent.filter(kind=DeliveryKind.CONFIRMATION).update(**ended):
        return
    # What follows a delivery that never began has not begun either: reversals of parts.
    unsent.filter(kind=DeliveryKind.REVERSAL, after__in=Subquery(_cancelled(confirmation).values("pk"))).update(**ended)
    rows = _cancelled(confirmation).filter(finished_at=now).select_related("subscription__partner").order_by("id")
    entries = [delivery_entry(row, outcome=DeliveryState.CANCELLED, reason=EndReason.REVERSED, now=now) for row in rows]
    log.append_all([entry for entry in entries if entry is not None])


def _cancelled(confirmation: Confirmation) -> QuerySet[Delivery]:
    return Delivery.objects.using(_alias()).filter(confirmation=confirmation, end_reason=EndReason.REVERSED)


def _insert(rows: list[Delivery]) -> list[Delivery]:
    with transaction.atomic(using=_alias(), savepoint=False):
        return Delivery.objects.using(_alias()).bulk_create(rows)


def _alias() -> str:
    return router.db_for_write(Delivery)
