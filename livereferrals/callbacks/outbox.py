"""The outbox: who is subscribed, and the deliveries owed to them, written in the host's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import router, transaction

from livereferrals.callbacks import clock, payload
from livereferrals.callbacks.models import Delivery, DeliveryKind, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable

    from livereferrals.events.models import Event
    from livereferrals.tracking.models import Confirmation


def subscribed_partners(trigger: str, partner_ids: Iterable[int]) -> frozenset[int]:
    """Return those of the partners that have a subscription to the trigger, archived ones aside. One query.

    The state of an endpoint does not matter: a pause holds deliveries and never takes credit away.
    """
    wanted = set(partner_ids)
    if not wanted:
        return frozenset()
    found = Subscription.objects.filter(trigger=trigger, partner__in=wanted, archived_at__isnull=True)
    return frozenset(found.values_list("partner_id", flat=True))


def owe(confirmation: Confirmation, event: Event) -> list[Delivery]:
    """Write what is owed for a confirmation: a delivery for each subscription of its partner to its trigger.

    Call it in the transaction that writes the confirmation and its event, so that the debt commits or vanishes with
    them. One query, one insert. A subscription without a callback URL is fed by the feed alone and owed nothing here.
    """
    if confirmation.partner_id is None:
        return []
    alias = router.db_for_write(Delivery)
    subscriptions = clock.with_database_time(
        Subscription.objects.using(alias)
        .filter(partner=confirmation.partner_id, trigger=confirmation.trigger, archived_at__isnull=True)
        .exclude(callback_url="")
    )
    body = payload.frozen(event)
    rows = []
    for subscription in subscriptions:
        now = clock.time_of(subscription)
        rows.append(
            Delivery(
                subscription=subscription,
                confirmation=confirmation,
                kind=DeliveryKind.CONFIRMATION,
                event=event.id,
                payload=body,
                due_at=now,
                created_at=now,
            )
        )
    with transaction.atomic(using=alias, savepoint=False):
        return Delivery.objects.using(alias).bulk_create(rows)
