"""The numbers of a span of time at one place in the log: rollups plus the tail after them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from livereferrals.dashboard import deltas, ranges, rollups
from livereferrals.dashboard.sources import EVERYBODY, By, Source
from livereferrals.events import log
from livereferrals.tracking import amounts

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping
    from datetime import tzinfo

    from livereferrals.dashboard.deltas import Sums
    from livereferrals.dashboard.ranges import Span
    from livereferrals.dashboard.sources import Key, Whose
    from livereferrals.events.log import Bounds

TAIL = 2_500
"""Events after the rollups that a reading adds up by itself; above it the rollups are brought forward first."""
SHORT_TAIL = 500
"""To so many the rollups are kept while somebody watches, beside the readings."""
RATE_UNIT = Decimal("0.000001")
ADDED = ("hits", "visitors", "claims", "confirmations", "reversals")
"""What adds up as whole numbers; as `deltas.COLUMNS` begin."""


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


def keep_tail_short(most: int = TAIL) -> None:
    """Bring the rollups forward where more events lie after them. Writes: call it before reading at one moment."""
    if log.bounds().head - rollups.position().seq > most:
        rollups.advance()


class Figures:
    """The numbers at one place in the log; to be made inside `snapshots.one_moment()`, where its place was read.

    Each call costs one query, the first one up to three more.
    """

    def __init__(self, at: Bounds) -> None:
        self._source = Source(at)

    def numbers(self, span: Span, *, whose: Whose = EVERYBODY) -> Numbers:
        """Return the numbers of the span."""
        return _numbers({currency: found for (_, currency), found in self._source.sums(span, whose=whose).items()})

    def divided(
        self, span: Span, *, by: By, whose: Whose = EVERYBODY, only: Collection[Any] | None = None
    ) -> dict[Any, Numbers]:
        """Return the numbers of the span by partner, link or trigger; those where nothing happened are left out."""
        return _by_bucket(self._source.sums(span, whose=whose, by=by, only=only))

    def leaders(self, span: Span, *, by: By, count: int, whose: Whose = EVERYBODY) -> list[tuple[Any, Numbers]]:
        """Return the first partners, links or triggers by confirmations, then hits, with their numbers. Two queries."""
        candidates = self._source.leaders(span, by=by, count=count, whose=whose)
        found = self.divided(span, by=by, whose=whose, only=candidates)
        ranked = sorted(found.items(), key=lambda item: (-item[1].confirmations, -item[1].hits, str(item[0])))
        return ranked[:count]

    def steps(self, span: Span, *, zone: tzinfo, hourly: bool, whose: Whose = EVERYBODY) -> tuple[Step, ...]:
        """Return the numbers of each of the zone's hours or days of the span, in order, empty ones too."""
        found = _by_bucket(self._source.sums(span, whose=whose, by=By.HOUR if hourly else By.DAY))
        nothing = Numbers(amounts={})
        parts = ranges.hours(span, zone=zone) if hourly else ranges.days(span, zone=zone)
        return tuple(
            Step(
                span=part,
                numbers=found.get(part.start if hourly else ranges.day_of(part.start, zone=zone), nothing),
            )
            for part in parts
        )


def total(steps: Iterable[Step]) -> Numbers:
    """Return the numbers of all steps together."""
    whole: dict[str, int] = dict.fromkeys(ADDED, 0)
    money: dict[str, Decimal] = {}
    for step in steps:
        for name in ADDED:
            whole[name] += getattr(step.numbers, name)
        for currency, amount in step.numbers.amounts.items():
            money[currency] = money.get(currency, Decimal(0)) + amount
    return Numbers(**whole, amounts=dict(sorted(money.items())))


def _by_bucket(totals: Mapping[Key, Sums]) -> dict[Hashable, Numbers]:
    buckets: dict[Hashable, dict[str, Sums]] = {}
    for (bucket, currency), found in totals.items():
        buckets.setdefault(bucket, {})[currency] = found
    return {bucket: _numbers(found) for bucket, found in buckets.items()}


def _numbers(totals: Mapping[str, Sums]) -> Numbers:
    # Plain numbers: a year by the day has hundreds of these.
    every = [deltas.values_of(sums) for sums in totals.values()]
    whole = every[0] if len(every) == 1 else map(sum, zip(*every, strict=True))
    return Numbers(
        **dict(zip(ADDED, whole, strict=False)),
        amounts={
            currency: amounts.from_micros(sums.amount_micros) for currency, sums in sorted(totals.items()) if currency
        },
    )
