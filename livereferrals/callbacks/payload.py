"""What a delivery says: the frozen event object, and the values of the placeholders that come from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from livereferrals.events import wire
from livereferrals.tracking.amounts import CONTEXT, currency_digits

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable

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


@dataclass(frozen=True, slots=True)
class _Told:
    """What the values are taken from."""

    payload: dict[str, Any]
    facts: Facts

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = self.payload["data"]
        return found

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.payload["time"])

    def sub(self, place: int) -> str | None:
        found = self.data.get("subs") or ()
        return found[place] if place < len(found) else None

    @property
    def amount_minor(self) -> int | None:
        amount, currency = self.data.get("amount"), self.data.get("currency")
        return minor_units(amount, currency) if amount and currency else None


VALUES: Final[dict[str, Callable[[_Told], object]]] = {
    "visitor_id": lambda told: told.data.get("visitor") or told.facts.visitor,
    "hit_id": lambda told: told.data.get("hit") or told.facts.hit,
    "confirmation_id": lambda told: told.data.get("confirmation"),
    "delivery_id": lambda told: told.facts.delivery,
    "click_id": lambda told: told.data.get("click_id"),
    **{f"sub{place + 1}": lambda told, place=place: told.sub(place) for place in range(5)},  # type: ignore[misc] # the place
    "partner_uid": lambda told: told.payload.get("partner"),
    "link": lambda told: (told.payload.get("link") or {}).get("identifier"),
    "trigger": lambda told: told.data.get("trigger"),
    "reference": lambda told: told.data.get("reference"),
    "amount": lambda told: told.data.get("amount"),
    "amount_minor": lambda told: told.amount_minor,
    "currency": lambda told: told.data.get("currency"),
    "status": lambda told: "reversed" if told.payload["type"] == "reversal" else "confirmed",
    "reason": lambda told: told.data.get("reason"),
    "timestamp": lambda told: milliseconds(told.moment),
    "timestamp_unix": lambda told: int(told.moment.timestamp()),
    "hit_timestamp": lambda told: milliseconds(told.facts.hit_at) if told.facts.hit_at else None,
    "attempt": lambda told: told.facts.attempt,
    "test": lambda told: int(told.facts.test),
}
"""Every placeholder, and where its value comes from."""


def values(payload: dict[str, Any], facts: Facts, *, names: Iterable[str] = VALUES) -> dict[str, str]:
    """Return the text of placeholders, of all or of these; empty where there is no value (callbacks, section 1).

    There is none for the user, an address or a secret, and there must never be one.
    """
    told = _Told(payload, facts)
    found = {name: VALUES[name](told) for name in names}
    return {name: "" if value is None else str(value) for name, value in found.items()}


def minor_units(amount: str, currency: str) -> int:
    """Return a canonical amount in the currency's smallest unit: 12.50 EUR is 1250."""
    return int(Decimal(amount).scaleb(currency_digits(currency), context=CONTEXT))


def milliseconds(moment: datetime) -> str:
    """Return the moment in UTC with milliseconds and `Z` (RFC 3339, 5.6)."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
