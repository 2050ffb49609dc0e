"""The numbers of a span of time at one place in the log: rollups plus the tail after them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db.models import Sum

from livereferrals.dashboard import deltas, rollups
from livereferrals.dashboard.deltas import COLUMNS, Sums
from livereferrals.dashboard.models import HourlyTotal
from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.tracking import amounts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet

    from livereferrals.dashboard.ranges import Span
    from livereferrals.events.log import Bounds

TAIL = 500
"""Events after the rollups that a reading adds up by itself; above it the rollups are brought forward first."""
RATE_UNIT = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What adds up in one span of time, at one cursor."""

    hits: int
    visitors: int
    claims: int
    confirmations: int
    reversals: int
    amounts: Mapping[str, Decimal]
    """One sum for each currency that occurs, by its code, in order; never added up across."""

    @property
    def rate(self) -> Decimal | None:
        """Confirmations not reversed for each visitor, to six places; nothing where there were no visitors."""
        if self.visitors <= 0:
            return None
        return amounts.CONTEXT.divide(Decimal(self.confirmations), Decimal(self.visitors)).quantize(RATE_UNIT)


def keep_tail_short() -> None:
    """Bring the rollups forward where many events lie after them. Writes: call it before reading at one moment."""
    if log.bounds().head - rollups.position().seq > TAIL:
        rollups.advance()


def numbers(span: Span, *, at: Bounds) -> Numbers:
    """Return the numbers of the span by the events up to the log's head `at`.

    To be called where `at` was read, inside `snapshots.one_moment()`. Three queries, one more if something was reversed.
    """
    totals = _rolled_up(HourlyTotal.objects.filter(starts_at__gte=span.start, starts_at__lt=span.end))
    for currency, sums in _tail(span, after=rollups.position().seq, upto=at.head).items():
        totals[currency] = totals.get(currency, Sums()) + sums
    return _numbers(totals)


def _rolled_up(rows: QuerySet[HourlyTotal]) -> dict[str, Sums]:
    """Return the sums of rollup rows by currency. One query; `SUM` in the database, over whole numbers."""
    sums_of = {f"sum_{name}": Sum(name) for name in COLUMNS}
    found = rows.order_by("currency").values("currency").annotate(**sums_of).values_list("currency", *sums_of)
    # PostgreSQL's SUM of bigint is a numeric.
    return {currency: Sums(**dict(zip(COLUMNS, map(int, sums), strict=True))) for currency, *sums in found}


def _tail(span: Span, *, after: int, upto: int) -> dict[str, Sums]:
    """Return what the events after the rollups add to the span, by currency. At most two queries."""
    if after >= upto:
        return {}
    fields = ("type", "occurred_at", "data", "partner", "link")
    events = list(Event.objects.filter(seq__gt=after, seq__lte=upto).only(*fields))
    times = rollups.confirmation_times(events)
    found = (delta for event in events for delta in deltas.deltas(event, confirmed_at=times))
    return deltas.add_up(found, bucket=lambda delta: delta.currency if delta.moment in span else None)


def _numbers(totals: Mapping[str, Sums]) -> Numbers:
    whole = sum(totals.values(), Sums())
    return Numbers(
        hits=whole.hits,
        visitors=whole.visitors,
        claims=whole.claims,
        confirmations=whole.confirmations,
        reversals=whole.reversals,
        amounts={
            currency: amounts.from_micros(sums.amount_micros) for currency, sums in sorted(totals.items()) if currency
        },
    )
