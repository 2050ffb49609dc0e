"""How numbers went over a range: the chart of hits and confirmations, for any page that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from livereferrals.dashboard import charts, wording
from livereferrals.dashboard.charts import Chart, Line, Panel
from livereferrals.dashboard.ranges import Range
from livereferrals.dashboard.sources import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.sources import Whose
    from livereferrals.dashboard.statistics import Step
    from livereferrals.dashboard.viewpoints import Viewpoint


def steps_of(viewpoint: Viewpoint, moment: Moment, *, whose: Whose = EVERYBODY) -> tuple[Step, ...]:
    """Return the numbers of the chosen range by its hours or days. One query."""
    return moment.figures.steps(
        moment.span, zone=timezone.get_default_timezone(), hourly=is_hourly(viewpoint), whose=whose
    )


def is_hourly(viewpoint: Viewpoint) -> bool:
    """Whether the chosen range is shown by the hour."""
    return viewpoint.filters.range in {Range.TODAY, Range.DAY}


def chart(steps: Sequence[Step], viewpoint: Viewpoint) -> Chart:
    """Return the chart of hits and confirmations, in the active language."""
    hourly = is_hourly(viewpoint)
    labels = [_label(step, hourly=hourly) for step in steps]
    hits = [step.numbers.hits for step in steps]
    confirmations = [step.numbers.confirmations for step in steps]
    return Chart(
        title=gettext("Hits and confirmations by the hour") if hourly else gettext("Hits and confirmations by day"),
        panels=(
            _panel("hits", gettext("Hits"), hits, labels),
            _panel("confirmations", gettext("Confirmations"), confirmations, labels),
        ),
        ticks=(labels[0], labels[len(labels) // 2], labels[-1]) if labels else (),
        headings=(
            gettext("Hour") if hourly else gettext("Day"),
            gettext("Hits"),
            gettext("Visitors"),
            gettext("Confirmations"),
            gettext("Conversion rate"),
        ),
        lines=tuple(
            Line(
                label=label,
                values=(
                    wording.whole_number(step.numbers.hits),
                    wording.whole_number(step.numbers.visitors),
                    wording.whole_number(step.numbers.confirmations),
                    wording.per_cent(step.numbers.rate),
                ),
            )
            for label, step in zip(labels, steps, strict=True)
        ),
    )


def _panel(name: str, label: str, values: Sequence[int], labels: Sequence[str]) -> Panel:
    told = [f"{step}: {wording.whole_number(value)}" for step, value in zip(labels, values, strict=True)]
    most = wording.whole_number(max(0, *values)) if values else wording.NONE
    return Panel(name=name, label=label, most=most, bars=charts.bars(values, told))


def _label(step: Step, *, hourly: bool) -> str:
    """Return a step's name: hours and days are the project's, whatever the viewer's zone is."""
    start = step.span.start.astimezone(timezone.get_default_timezone())
    return date_format(start, "TIME_FORMAT" if hourly else "MONTH_DAY_FORMAT")
