"""What one event adds to the totals: the one rule that rollups and the tail after them share. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from operator import add, attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from livereferrals.dashboard import ranges
from livereferrals.events.models import EventType
from livereferrals.events.voiding import KEY as VOID
from livereferrals.tracking import amounts

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from datetime import datetime, tzinfo
    from typing import TypeVar

    Bucket = TypeVar("Bucket", bound=Hashable)


class Told(Protocol):
    """What counts of an event: of one from the log, or of these of its columns alone."""

    @property
    def type(self) -> str:
        """The kind of event."""

    @property
    def occurred_at(self) -> datetime:
        """When it happened."""

    @property
    def data(self) -> Any:
        """What the partner sees, as a mapping."""

    @property
    def partner(self) -> str:
        """The partner's uid, or nothing."""

    @property
    def link(self) -> uuid.UUID | None:
        """The link's id."""


TOLD = ("type", "occurred_at", "data", "partner", "link")
"""The columns of `Told`."""


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
        return _sums(map(add, values_of(self), values_of(other)))

    def __neg__(self) -> Sums:
        return _sums(-value for value in values_of(self))


COLUMNS = tuple(field.name for field in fields(Sums))
values_of = attrgetter(*COLUMNS)
"""Returns the sums as plain numbers, in the order of `COLUMNS`."""


def _sums(values: Iterable[int]) -> Sums:
    return Sums(**dict(zip(COLUMNS, values, strict=True)))


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


def confirmation_of(event: Told) -> str | None:
    """Return the id of the confirmation that a reversal takes back, else nothing."""
    if event.type != EventType.REVERSAL:
        return None
    found: str | None = event.data.get("confirmation")
    return found


def deltas(event: Told, *, confirmed_at: Mapping[str, datetime]) -> list[Delta]:
    """Return what the event adds.

    A reversal counts as such at its own time, and lowers confirmations and amount at the time of its confirmation,
    found in `confirmed_at` by the confirmation's id. A partial one leaves the confirmation standing. A void event adds
    nothing.
    """
    if event.data.get(VOID):
        return []
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
    # Plain tuples meanwhile: a frozen object for each addition would be most of the time.
    totals: dict[Bucket, tuple[int, ...]] = {}
    for delta in found:
        key = bucket(delta)
        if key is not None:
            held, more = totals.get(key), values_of(delta.sums)
            totals[key] = more if held is None else tuple(map(add, held, more))
    return {key: _sums(values) for key, values in totals.items()}


def gathered(found: Iterable[Delta], *, zone: tzinfo) -> list[Delta]:
    """Return the deltas with those of one hour, partner, link, trigger and currency made one, at the hour's beginning.

    Everything that is shown begins and ends with one of the zone's hours, so that nothing is lost; of a thousand hits
    there are as many as links that were followed.
    """
    totals = add_up(
        found,
        bucket=lambda delta: (
            ranges.hour_of(delta.moment, zone=zone), delta.trigger, delta.currency, delta.partner, delta.link,
        ),
    )  # fmt: skip
    return [
        Delta(moment=hour, sums=sums, trigger=trigger, currency=currency, partner=partner, link=link)
        for (hour, trigger, currency, partner, link), sums in totals.items()
    ]


def _micros(event: Told) -> int:
    """Return the event's amount in whole millionths; the log's own text, so that no rule of input applies."""
    text = event.data.get("amount")
    return 0 if text is None else int(Decimal(text).scaleb(6, context=amounts.CONTEXT))
