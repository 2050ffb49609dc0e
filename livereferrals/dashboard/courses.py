"""How numbers went over a range: hits, confirmations, conversion and amounts, for any page that has a chart."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from livereferrals.dashboard import charts, wording
from livereferrals.dashboard.charts import Chart, Line, Panel
from livereferrals.dashboard.ranges import Range
from livereferrals.dashboard.sources import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.sources import Whose
    from livereferrals.dashboard.statistics import Numbers, Step
    from livereferrals.dashboard.viewpoints import Viewpoint

Number = TypeVar("Number", int, Decimal)

CURRENCIES: Final = 4
"""Currencies that are drawn; the table has all."""


def steps_of(viewpoint: Viewpoint, moment: Moment, *, whose: Whose = EVERYBODY) -> tuple[Step, ...]:
    """Return the numbers of the chosen range by its hours or days. One query."""
    return moment.figures.steps(
        moment.span, zone=timezone.get_default_timezone(), hourly=is_hourly(viewpoint), whose=whose
    )


def is_hourly(viewpoint: Viewpoint) -> bool:
    """Whether the chosen range is shown by the hour."""
    return viewpoint.filters.range in {Range.TODAY, Range.DAY}


def chart(steps: Sequence[Step], viewpoint: Viewpoint) -> Chart:
    """Return the chart of hits, confirmations, conversion and amounts, in the active language.

    Amounts only for those who may see them, a panel for each currency: of many, for those of most steps.
    """
    hourly, amounts = is_hourly(viewpoint), viewpoint.rights.amounts
    labels = [_label(step, hourly=hourly) for step in steps]
    return Chart(
        title=gettext("Over time, by the hour") if hourly else gettext("Over time, by day"),
        panels=tuple(_panels(steps, labels, currencies=_currencies(steps) if amounts else [])),
        ticks=(labels[0], labels[len(labels) // 2], labels[-1]) if labels else (),
        headings=(
            gettext("Hour") if hourly else gettext("Day"),
            gettext("Hits"),
            gettext("Visitors"),
            gettext("Confirmations"),
            gettext("Conversion rate"),
            *([gettext("Amount")] if amounts else []),
        ),
        lines=tuple(_line(label, step.numbers, amounts=amounts) for label, step in zip(labels, steps, strict=True)),
    )


def _line(label: str, numbers: Numbers, *, amounts: bool) -> Line:
    values = (
        wording.whole_number(numbers.hits),
        wording.whole_number(numbers.visitors),
        wording.whole_number(numbers.confirmations),
        wording.per_cent(numbers.rate),
    )
    return Line(label=label, values=(*values, wording.all_money(numbers.amounts)) if amounts else values)


def _panels(steps: Sequence[Step], labels: Sequence[str], *, currencies: Sequence[str]) -> Iterator[Panel]:
    found = [step.numbers for step in steps]
    whole = wording.whole_number
    yield _panel("hits", gettext("Hits"), [each.hits for each in found], labels, told=whole)
    yield _panel("confirmations", gettext("Confirmations"), [each.confirmations for each in found], labels, told=whole)
    rates = [each.rate or Decimal(0) for each in found]
    yield _panel("rate", gettext("Conversion rate"), rates, labels, told=wording.per_cent)
    for currency in currencies:
        money = [each.amounts.get(currency, Decimal(0)) for each in found]
        # Translators: amounts in one currency, by its code.
        label = gettext("Amount in %(currency)s") % {"currency": currency}
        yield _panel("amount", label, money, labels, told=partial(wording.money, currency=currency))


def _currencies(steps: Sequence[Step]) -> list[str]:
    """Return the currencies that are drawn, in the order of their codes."""
    often = Counter(currency for step in steps for currency, amount in step.numbers.amounts.items() if amount)
    return sorted(sorted(often, key=lambda currency: (-often[currency], currency))[:CURRENCIES])


def _panel(
    name: str, label: str, values: Sequence[Number], labels: Sequence[str], *, told: Callable[[Number], str]
) -> Panel:
    said = [f"{step}: {told(value)}" for step, value in zip(labels, values, strict=True)]
    most = told(max(values)) if any(value > 0 for value in values) else wording.NONE
    return Panel(name=name, label=label, most=most, bars=charts.bars(values, said))


def _label(step: Step, *, hourly: bool) -> str:
    """Return a step's name: hours and days are the project's, whatever the viewer's zone is."""
    start = step.span.start.astimezone(timezone.get_default_timezone())
    return date_format(start, "TIME_FORMAT" if hourly else "MONTH_DAY_FORMAT")
