"""The outbox: who is subscribed, and the deliveries owed to them, written in the host's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.db.models import OuterRef, Q, Subquery

from livereferrals.callbacks import clock, payload, retention
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState, EndReason, Method, Subscription
from livereferrals.callbacks.notices import delivery_entry
from livereferrals.callbacks.waking import wake_workers
from livereferrals.events import log

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.events.models import Event
    from livereferrals.tracking.models import Confirmation, Reversal

SENDS_REVERSALS = Q(method=Method.POST, send_reversals=True) | Q(~Q(reversal_url=""), method=Method.GET)
"""Whether a subscription wants to be called when a confirmation is taken back (callbacks, section 1)."""


def subscriptions_to(trigger: str) -> QuerySet[Subscription]:
    """Return the subscriptions to the trigger, archived ones aside. No query yet.

    The state of an endpoint does not matter: a pause holds deliveries and never takes credit away.
    """
    return Subscription.objects.filter(trigger=trigger, archived_at__isnull=True)


def called_for(trigger: str) -> QuerySet[Any, Any]:
    """Return a subquery for rows with a `partner`: the id of the subscription that is called. No query yet.

    A subscription without a callback URL is fed by the feed alone. A partner has one subscription to a trigger at most.
    """
    return subscriptions_to(trigger).filter(partner=OuterRef("partner")).exclude(callback_url="").values("pk")[:1]


def owe(confirmation: Confirmation, event: Event, *, subscription: int | None) -> Delivery | None:
    """Write what is owed for a confirmation: a delivery to the subscription, if it is one that is called.

    Call it in the transaction that writes the confirmation and its event, so that the debt commits or vanishes with
    them. One insert.
    """
    if subscription is None:
        return None
    now = clock.moment(_alias())
    return _insert(
        [
            Delivery(
                subscription_id=subscription,
                confirmation=confirmation,
                kind=DeliveryKind.CONFIRMATION,
                event=event.id,
                payload=payload.frozen(event),
                due_at=now,
                created_at=now,
            )
        ]
    )[0]


def owe_reversal(reversal: Reversal, event: Event) -> list[Delivery]:
    """Write what is owed for a reversal to those who were owed its confirmation (N-12).

    Whoever has not been called yet never will be, if the confirmation is taken back as a whole (transition 10). The
    others get the confirmation first and then the reversal, where their subscription wants it. Call it in the
    transaction that writes the reversal and its event. Up to three queries and three inserts or updates.
    """
    now = clock.now(_alias())
    if not reversal.partial:
        _cancel_unsent(reversal.confirmation, now=now)
    told = {row.subscription_id: row for row in _told(reversal.confirmation)}
    rows = [
        Delivery(
            subscription_id=subscription,
            confirmation=reversal.confirmation,
            kind=DeliveryKind.REVERSAL,
            event=event.id,
            payload=payload.frozen(event),
            after=told.get(subscription),
            due_at=now,
            created_at=now,
        )
        for subscription in (*told, *_told_long_ago(reversal.confirmation, now=now))
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


def _told_long_ago(confirmation: Confirmation, *, now: datetime) -> list[int]:
    """Return the subscriptions that were called so long ago that the delivery may be forgotten, and is."""
    if confirmation.created_at > now - retention.KEEP_DELIVERIES:
        return []
    wanting = Subscription.objects.using(_alias()).filter(
        SENDS_REVERSALS,
        partner=confirmation.partner_id,
        trigger=confirmation.trigger,
        archived_at__isnull=True,
        created_at__lte=confirmation.created_at,
    )
    known = Delivery.objects.using(_alias()).filter(confirmation=confirmation, kind=DeliveryKind.CONFIRMATION)
    found = wanting.exclude(callback_url="").exclude(pk__in=known.values("subscription"))
    return list(found.values_list("pk", flat=True))


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
        wake_workers()
        return Delivery.objects.using(_alias()).bulk_create(rows)


def _alias() -> str:
    return router.db_for_write(Delivery)
