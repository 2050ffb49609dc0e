"""What one event adds to the totals: the one rule that rollups and the tail after them share. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from livereferrals.events.models import EventType
from livereferrals.tracking import amounts

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from datetime import datetime
    from typing import TypeVar

    from livereferrals.events.models import Event

    Bucket = TypeVar("Bucket", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The columns that add up; negative ones take away."""

    hits: int = 0
    visitors: int = 0
    """Hits that are no repeats."""
    claims: int = 0
    confirmations: int = 0
    """Less the reversed ones."""
    reversals: int = 0
    amount_micros: int = 0
    """Less what was reversed."""

    def __add__(self, other: Sums) -> Sums:
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in COLUMNS})


COLUMNS = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What one event adds, and where."""

    moment: datetime
    """The time whose hour and day it belongs to."""
    sums: Sums
    trigger: str = ""
    currency: str = ""
    partner: str = ""
    link: uuid.UUID | None = None


def confirmation_of(event: Event) -> str | None:
    """Return the id of the confirmation that a reversal takes back, else nothing."""
    if event.type != EventType.REVERSAL:
        return None
    found: str | None = event.data.get("confirmation")
    return found


def deltas(event: Event, *, confirmed_at: Mapping[str, datetime]) -> list[Delta]:
    """Return what the event adds.

    A reversal counts as such at its own time, and lowers confirmations and amount at the time of its confirmation,
    found in `confirmed_at` by the confirmation's id. A partial one leaves the confirmation standing.
    """
    place: dict[str, Any] = {"partner": event.partner, "link": event.link}
    if event.type == EventType.HIT:
        sums = Sums(hits=1, visitors=0 if event.data.get("repeat") else 1)
        return [Delta(moment=event.occurred_at, sums=sums, **place)]
    if event.type == EventType.CLAIM:
        return [Delta(moment=event.occurred_at, sums=Sums(claims=1), **place)]
    place |= {"trigger": event.data.get("trigger") or "", "currency": event.data.get("currency") or ""}
    if event.type == EventType.CONFIRMATION:
        sums = Sums(confirmations=1, amount_micros=_micros(event))
        return [Delta(moment=event.occurred_at, sums=sums, **place)]
    if event.type == EventType.REVERSAL:
        moment = confirmed_at.get(confirmation_of(event) or "", event.occurred_at)
        taken = Sums(confirmations=0 if event.data.get("partial") else -1, amount_micros=-_micros(event))
        return [
            Delta(moment=event.occurred_at, sums=Sums(reversals=1), **place),
            Delta(moment=moment, sums=taken, **place),
        ]
    return []


def add_up(found: Iterable[Delta], *, bucket: Callable[[Delta], Bucket | None]) -> dict[Bucket, Sums]:
    """Return the sums of each bucket; deltas whose bucket is `None` stay out."""
    totals: defaultdict[Bucket, Sums] = defaultdict(Sums)
    for delta in found:
        key = bucket(delta)
        if key is not None:
            totals[key] += delta.sums
    return dict(totals)


def _micros(event: Event) -> int:
    """Return the event's amount in whole millionths; the log's own text, so that no rule of input applies."""
    text = event.data.get("amount")
    return 0 if text is None else int(Decimal(text).scaleb(6, context=amounts.CONTEXT))
