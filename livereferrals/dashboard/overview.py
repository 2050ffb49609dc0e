"""The overview: what it shows at one cursor, as a page, as the answer to a filter, and as a live frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import (
    activity,
    charts,
    confirmations,
    endpoints,
    event_search,
    gauges,
    leaders,
    pages,
    tables,
)
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import By, Whose
from livereferrals.events.models import Event

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.charts import Chart
    from livereferrals.dashboard.filters import Filters
    from livereferrals.dashboard.leaders import Leading
    from livereferrals.dashboard.rows import Counter, EventRow
    from livereferrals.dashboard.tables import Cell, Table
    from livereferrals.dashboard.viewpoints import Viewpoint

LEADERS: Final = (By.PARTNER, By.LINK, By.TRIGGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewState(State):
    """Everything on the overview that moves."""

    counters: tuple[Counter, ...]
    chart: Chart
    leaders: tuple[Leading, ...]
    """Partners, links and triggers that bring most."""
    rows: tuple[EventRow, ...]
    """Newest first, at most 50."""
    confirmations: Table
    """The newest ten."""
    needs: tuple[Cell, ...]
    """The deliveries that need somebody, one line for each endpoint and cause; none for who may not see subscriptions."""
    filtered: bool
    """Whether a filter narrows the list; an empty list then means "nothing of this kind"."""


def read_state(viewpoint: Viewpoint) -> OverviewState:
    """Return what the overview shows now, in the active language, all of it at one cursor.

    At most 21 queries in one reading transaction. Before it, rollups that have fallen far behind are brought forward.
    """
    filters = viewpoint.filters
    whose = Whose(partners=viewpoint.rights.partners)
    with pages.one_moment(viewpoint) as moment:
        readings = gauges.Readings(viewpoint, moment, whose=whose)
        return OverviewState(
            **moment.header,
            counters=moment.part("counters", readings.counters, ()),
            chart=moment.part("chart", readings.chart, charts.NOTHING),
            leaders=moment.part("leaders", lambda: leaders.read(LEADERS, viewpoint, moment, whose=whose), ()),
            confirmations=moment.part("latest", lambda: confirmations.newest(viewpoint, moment), tables.NOTHING),
            needs=moment.part("delivery_needs", lambda: endpoints.needs_of(viewpoint, now=moment.now), ()),
            rows=moment.part("events", lambda: newest(filters, rights=viewpoint.rights, upto=moment.bounds.head), ()),
            filtered=bool(filters.types),
        )


def newest(filters: Filters, *, rights: Rights, upto: int) -> tuple[EventRow, ...]:
    """Return the newest events of the chosen types up to this number. Two queries, and one for each chosen type."""
    seqs = event_search.newest(event_search.Wanted(upto=upto, rights=rights, types=filters.types).parts())
    found = visible(Event.objects.filter(seq__in=seqs), rights=rights)
    return activity.newest(found, rights=rights, count=event_search.NEWEST)


PAGE = Page(
    name="overview",
    template="overview.html",
    regions=("delivery_needs", "counters", "chart", "leaders", "latest", "events", "cursor"),
    read=read_state,
    title=lambda _: gettext("Overview"),
    tab=gettext_lazy("Overview"),
    ranged=True,
    typed=True,
)
