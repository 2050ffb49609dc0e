"""The numbers of a span of time at one place in the log: rollups plus the tail after them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from livereferrals.dashboard import ranges, rollups, sources
from livereferrals.dashboard.deltas import Sums
from livereferrals.dashboard.sources import EVERYBODY, By
from livereferrals.events import log
from livereferrals.tracking import amounts

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Mapping
    from datetime import tzinfo

    from livereferrals.dashboard.ranges import Span
    from livereferrals.dashboard.sources import Key, Whose
    from livereferrals.events.log import Bounds

TAIL = 500
"""Events after the rollups that a reading adds up by itself; above it the rollups are brought forward first."""
RATE_UNIT = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What adds up in one span of time, at one cursor."""

    hits: int = 0
    visitors: int = 0
    claims: int = 0
    confirmations: int = 0
    reversals: int = 0
    amounts: Mapping[str, Decimal]
    """One sum for each currency that occurs, by its code, in order; never added up across."""

    @property
    def rate(self) -> Decimal | None:
        """Confirmations not reversed for each visitor, to six places; nothing where there were no visitors."""
        if self.visitors <= 0:
            return None
        return amounts.CONTEXT.divide(Decimal(self.confirmations), Decimal(self.visitors)).quantize(RATE_UNIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One bar of a chart."""

    span: Span
    numbers: Numbers


def keep_tail_short() -> None:
    """Bring the rollups forward where many events lie after them. Writes: call it before reading at one moment."""
    if log.bounds().head - rollups.position().seq > TAIL:
        rollups.advance()


def numbers(span: Span, *, at: Bounds, whose: Whose = EVERYBODY) -> Numbers:
    """Return the numbers of the span by the events up to the log's head `at`.

    To be called where `at` was read, inside `snapshots.one_moment()`. Three queries, one more if something was reversed.
    """
    return _numbers({currency: found for (_, currency), found in sources.sums(span, at=at, whose=whose).items()})


def divided(
    span: Span, *, at: Bounds, by: By, whose: Whose = EVERYBODY, only: Collection[Any] | None = None
) -> dict[Any, Numbers]:
    """Return the numbers of the span by partner, link or trigger; those where nothing happened are left out.

    As many queries as `numbers`.
    """
    return _by_bucket(sources.sums(span, at=at, whose=whose, by=by, only=only))


def steps(span: Span, *, at: Bounds, zone: tzinfo, hourly: bool, whose: Whose = EVERYBODY) -> tuple[Step, ...]:
    """Return the numbers of each of the zone's hours or days of the span, in order, empty ones too.

    As many queries as `numbers`.
    """
    by = By.HOUR if hourly else By.DAY
    found = _by_bucket(sources.sums(span, at=at, whose=whose, by=by))
    nothing = Numbers(amounts={})
    parts = ranges.hours(span, zone=zone) if hourly else ranges.days(span, zone=zone)
    return tuple(
        Step(
            span=part,
            numbers=found.get(part.start if hourly else ranges.day_of(part.start, zone=zone), nothing),
        )
        for part in parts
    )


def _by_bucket(totals: Mapping[Key, Sums]) -> dict[Hashable, Numbers]:
    buckets: dict[Hashable, dict[str, Sums]] = {}
    for (bucket, currency), found in totals.items():
        buckets.setdefault(bucket, {})[currency] = found
    return {bucket: _numbers(found) for bucket, found in buckets.items()}


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
