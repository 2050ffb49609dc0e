"""The numbers of one partner or link in the chosen range: counters with their change, a chart, and a funnel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone

from livereferrals.dashboard import courses, funnels, statistics, wording
from livereferrals.dashboard.ranges import span_before

if TYPE_CHECKING:
    from livereferrals.dashboard.charts import Chart
    from livereferrals.dashboard.funnels import Stage
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.rows import Counter
    from livereferrals.dashboard.sources import Whose
    from livereferrals.dashboard.viewpoints import Viewpoint

STAGES = ("hits", "visitors", "claims", "confirmations")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What three regions show."""

    counters: tuple[Counter, ...]
    chart: Chart
    funnel: tuple[Stage, ...]


def read(viewpoint: Viewpoint, moment: Moment, *, whose: Whose) -> Gauges:
    """Return the numbers at this moment. Two queries and those of the first reading.

    A claim ties all hits of a visitor to a user, whichever links they were of: a link's own page has no claims.
    """
    zone = timezone.get_default_timezone()
    steps = courses.steps_of(viewpoint, moment, whose=whose)
    earlier = span_before(viewpoint.filters.range, now=moment.now, zone=zone)
    before = moment.figures.numbers(earlier, whose=whose)
    numbers = statistics.total(steps)
    left_out = {"claims"} if whose.link is not None else set()
    counters = wording.counters(numbers, rights=viewpoint.rights, before=before, steps=steps)
    return Gauges(
        counters=tuple(counter for counter in counters if counter.key not in left_out),
        chart=courses.chart(steps, viewpoint),
        funnel=funnels.funnel(numbers, names=[name for name in STAGES if name not in left_out]),
    )
