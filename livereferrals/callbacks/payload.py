"""What a delivery says: the frozen event object, and the values of the placeholders that come from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from livereferrals.events import wire
from livereferrals.tracking.amounts import CONTEXT, currency_digits

if TYPE_CHECKING:
    import uuid

    from livereferrals.events.models import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the placeholders need besides the payload."""

    delivery: uuid.UUID
    attempt: int
    visitor: uuid.UUID | None = None
    hit: uuid.UUID | None = None
    hit_at: datetime | None = None
    """When the credited hit was made."""
    test: bool = False


def frozen(event: Event) -> dict[str, Any]:
    """Return the event object that a delivery keeps, without its cursor.

    The event has no number before its commit; the cursor is added when the first attempt starts.
    """
    return {**wire.event_object(event, epoch=""), "cursor": None}


def values(payload: dict[str, Any], facts: Facts) -> dict[str, str]:
    """Return the text of every placeholder; empty where there is no value (callbacks, section 1).

    There is none for the user, an address or a secret, and there must never be one.
    """
    data = payload["data"]
    moment = datetime.fromisoformat(payload["time"])
    subs = [*(data.get("subs") or ()), *[""] * 5][:5]
    amount, currency = data.get("amount"), data.get("currency")
    found = {
        "visitor_id": data.get("visitor") or facts.visitor,
        "hit_id": data.get("hit") or facts.hit,
        "confirmation_id": data.get("confirmation"),
        "delivery_id": facts.delivery,
        "click_id": data.get("click_id"),
        **{f"sub{number}": sub for number, sub in enumerate(subs, 1)},
        "partner_uid": payload.get("partner"),
        "link": (payload.get("link") or {}).get("identifier"),
        "trigger": data.get("trigger"),
        "reference": data.get("reference"),
        "amount": amount,
        "amount_minor": minor_units(amount, currency) if amount and currency else None,
        "currency": currency,
        "status": "reversed" if payload["type"] == "reversal" else "confirmed",
        "reason": data.get("reason"),
        "timestamp": milliseconds(moment),
        "timestamp_unix": int(moment.timestamp()),
        "hit_timestamp": milliseconds(facts.hit_at) if facts.hit_at else None,
        "attempt": facts.attempt,
        "test": int(facts.test),
    }
    return {name: "" if value is None else str(value) for name, value in found.items()}


def minor_units(amount: str, currency: str) -> int:
    """Return a canonical amount in the currency's smallest unit: 12.50 EUR is 1250."""
    return int(Decimal(amount).scaleb(currency_digits(currency), context=CONTEXT))


def milliseconds(moment: datetime) -> str:
    """Return the moment in UTC with milliseconds and `Z` (RFC 3339, 5.6)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
