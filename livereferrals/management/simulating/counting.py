"""What a run should have left in the database, what it has left, and whether that is the same."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Q

from livereferrals.callbacks.models import Delivery
from livereferrals.management.simulating import ground, stamps
from livereferrals.tracking.models import Confirmation, Origin, ReferralHit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import QuerySet

    from livereferrals.management.simulating.visits import Outcome

LOOK_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One number, as it should be and as it is."""

    name: str
    expected: int
    found: int

    @property
    def difference(self) -> int:
        """How many there are too many; negative: too few."""
        return self.found - self.expected


def compare(run: str, outcome: Outcome, *, claims: bool, settle_s: float) -> list[Line]:
    """Return the numbers of a run once they are as they should be, or the time to settle is over.

    Args:
        run: whose stamps are counted.
        outcome: what the visits have come to.
        claims: whether a sign-up logs in, so that its visitor is claimed.
        settle_s: how long to wait for what the site does after it has answered.
    """
    deadline = time.monotonic() + settle_s
    while True:
        lines = list(_lines(run, outcome, claims=claims))
        if not any(line.difference for line in lines) or time.monotonic() > deadline:
            return lines
        time.sleep(LOOK_EVERY_S)


def mark(run: str) -> None:
    """Mark the run's rows, which came over HTTP like any other, by their origin."""
    hits_of(run).update(origin=Origin.SIMULATION)
    Confirmation.objects.filter(hit__in=hits_of(run)).update(origin=Origin.SIMULATION)


def hits_of(run: str) -> QuerySet[ReferralHit]:
    """Return the hits of a run."""
    return ReferralHit.objects.filter(partner__in=ground.partners(), click_id__startswith=f"{stamps.PREFIX}{run}-")


def _lines(run: str, outcome: Outcome, *, claims: bool) -> Iterator[Line]:
    hits = hits_of(run)
    found: dict[str, Any] = hits.aggregate(
        hits=Count("pk"),
        visitors=Count("visitor", distinct=True),
        claimed=Count("visitor", distinct=True, filter=Q(visitor__claimed_at__isnull=False)),
    )
    yield Line(name="hits", expected=outcome.hits, found=found["hits"])
    yield Line(name="visitors", expected=outcome.visitors, found=found["visitors"])
    if claims:
        yield Line(name="claimed visitors", expected=outcome.sign_ups, found=found["claimed"])
    confirmations = Confirmation.objects.filter(hit__in=hits)
    by_trigger = dict(confirmations.order_by().values_list("trigger").annotate(Count("pk")))
    for trigger in sorted(outcome.confirmations.keys() | by_trigger.keys()):
        number = outcome.confirmations[trigger]
        yield Line(name=f"confirmations of {trigger!r}", expected=number, found=by_trigger.get(trigger, 0))
    called = Q(subscription__partner__in=ground.partners()) & ~Q(subscription__callback_url="")
    deliveries = Delivery.objects.filter(called, confirmation__in=confirmations)
    if (owed := deliveries.count()) or _is_called():
        yield Line(name="deliveries", expected=outcome.confirmations.total(), found=owed)


def _is_called() -> bool:
    return any(
        partner.subscriptions.filter(archived_at=None).exclude(callback_url="").exists()
        for partner in ground.partners()
    )


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Return the numbers as text."""
    width = max(len(line.name) for line in lines)
    yield f"{'':{width}}  {'expected':>8}  {'found':>8}  {'difference':>10}"
    for line in lines:
        yield f"{line.name:{width}}  {line.expected:>8}  {line.found:>8}  {line.difference:>+10}"
