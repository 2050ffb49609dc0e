"""What the log and the host are told of deliveries: events of type `delivery` (feed protocol, 5.4) and signals."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livereferrals import signals
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryKind, DeliveryState
from livereferrals.events import log, wire
from livereferrals.events.models import EventType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import Model
    from django.dispatch import Signal

    from livereferrals.callbacks.models import Subscription

logger = logging.getLogger(__name__)

FAILING = "failing"
"""A delivery's first failure, with more attempts to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One result that the host's signals tell of, after the commit."""

    delivery: Delivery
    attempt: DeliveryAttempt
    final: bool
    """No attempt follows."""


def delivery_entry(
    delivery: Delivery, *, outcome: str, reason: str = "", status: int | None = None, now: datetime
) -> log.Entry | None:
    """Return the log's entry for a delivery, its subscription and partner loaded; none for a test."""
    if delivery.kind == DeliveryKind.TEST:
        return None
    return entry_of(
        delivery.payload,
        subscription=delivery.subscription,
        now=now,
        delivery=str(delivery.pk),
        confirmation=str(delivery.confirmation_id) if delivery.confirmation_id else None,
        outcome=outcome,
        reason=reason or None,
        attempt=delivery.attempts,
        status=status,
        next_at=wire.rfc3339(delivery.due_at) if delivery.state == DeliveryState.WAITING else None,
    )


def entry_of(payload: object, *, subscription: Subscription, now: datetime, **known: Any) -> log.Entry:
    """Return the log's entry for a delivery of this payload, the subscription's partner loaded."""
    link = _part(payload, "link")
    visitor = _part(payload, "data").get("visitor")
    return log.Entry(
        type=EventType.DELIVERY,
        occurred_at=now,
        partner=subscription.partner.uid,
        link=uuid.UUID(link["id"]) if link else None,
        link_identifier=link.get("identifier", ""),
        visitor=uuid.UUID(visitor) if visitor else None,
        data=_data(trigger=subscription.trigger, **known),
    )


def _part(payload: object, name: str) -> dict[str, Any]:
    """Return an object in the payload; an empty one where it was erased, or is none by somebody's hand."""
    found = payload.get(name) if isinstance(payload, dict) else None
    return found if isinstance(found, dict) else {}


def endpoint_entry(subscription: Subscription, *, state: str, reason: str, now: datetime) -> log.Entry:
    """Return the log's entry for a change of an endpoint's state, the subscription's partner loaded."""
    return log.Entry(
        type=EventType.DELIVERY,
        occurred_at=now,
        partner=subscription.partner.uid,
        data=_data(trigger=subscription.trigger, outcome=state, reason=reason or None),
    )


def _data(**known: Any) -> dict[str, Any]:
    fields = ("delivery", "confirmation", "trigger", "outcome", "reason", "attempt", "status", "next_at")
    return {name: known.get(name) for name in fields}


def send_signals(notices: Iterable[Notice]) -> None:
    """Tell the host's receivers of results."""
    for notice in notices:
        told = {"delivery": notice.delivery, "attempt": notice.attempt}
        if notice.delivery.state == DeliveryState.DELIVERED:
            tell(signals.callback_delivered, Delivery, **told)
        else:
            tell(signals.callback_failed, Delivery, **told, final=notice.final)


def tell(signal: Signal, sender: type[Model], **facts: Any) -> None:
    """Send a signal to the host's receivers; an error in one is logged and touches nothing else."""
    try:
        signal.send_robust(sender, **facts)
    except Exception:
        # Django logs the `__qualname__` of a receiver that fails, and fails itself where an instance or a partial has none.
        logger.exception("A receiver of a callback's signal failed.", extra={"action": "signal.failed"})
