"""The numbers of everybody, one partner or one link in the chosen range: counters with their change, charts, a funnel."""

from __future__ import annotations

from functools import cached_property
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
    from livereferrals.dashboard.statistics import Numbers, Step
    from livereferrals.dashboard.viewpoints import Viewpoint

STAGES = ("hits", "visitors", "claims", "confirmations")


class Readings:
    """What three regions show at one moment; what they have in common is read once, by the first that needs it.

    A claim ties all hits of a visitor to a user, whichever links they were of: a link has no claims.
    """

    def __init__(self, viewpoint: Viewpoint, moment: Moment, *, whose: Whose) -> None:
        self._viewpoint = viewpoint
        self._moment = moment
        self._whose = whose
        self._left_out = {"claims"} if whose.link is not None else set()

    @cached_property
    def _steps(self) -> tuple[Step, ...]:
        """The range by its hours or days. One query, and those of the first reading."""
        return courses.steps_of(self._viewpoint, self._moment, whose=self._whose)

    @cached_property
    def _numbers(self) -> Numbers:
        return statistics.total(self._steps)

    def counters(self) -> tuple[Counter, ...]:
        """Return the counters with their change against the range before. One query."""
        zone = timezone.get_default_timezone()
        earlier = span_before(self._viewpoint.filters.range, now=self._moment.now, zone=zone)
        before = self._moment.figures.numbers(earlier, whose=self._whose)
        found = wording.counters(self._numbers, rights=self._viewpoint.rights, before=before, steps=self._steps)
        return tuple(counter for counter in found if counter.key not in self._left_out)

    def chart(self) -> Chart:
        """Return the course of hits, confirmations, conversion and amounts."""
        return courses.chart(self._steps, self._viewpoint)

    def funnel(self) -> tuple[Stage, ...]:
        """Return how many are left at each stage."""
        return funnels.funnel(self._numbers, names=[name for name in STAGES if name not in self._left_out])
