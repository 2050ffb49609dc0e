"""The overview: what it shows at one cursor, as a page, as the answer to a filter, and as a live frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import (
    activity,
    confirmations,
    courses,
    endpoints,
    event_search,
    leaders,
    pages,
    statistics,
    wording,
)
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.ranges import span_before
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.sources import Whose
from livereferrals.events.models import Event

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.charts import Chart
    from livereferrals.dashboard.filters import Filters
    from livereferrals.dashboard.leaders import Leader
    from livereferrals.dashboard.rows import Counter, EventRow
    from livereferrals.dashboard.tables import Cell, Table
    from livereferrals.dashboard.viewpoints import Viewpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewState(State):
    """Everything on the overview that moves."""

    counters: tuple[Counter, ...]
    chart: Chart
    partners: tuple[Leader, ...]
    links: tuple[Leader, ...]
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

    At most 19 queries in one reading transaction. Before it, rollups that have fallen far behind are brought forward.
    """
    filters = viewpoint.filters
    whose = Whose(partners=viewpoint.rights.partners)
    zone = timezone.get_default_timezone()
    with pages.one_moment(viewpoint) as moment:
        steps = courses.steps_of(viewpoint, moment, whose=whose)
        before = moment.figures.numbers(span_before(filters.range, now=moment.now, zone=zone), whose=whose)
        first_partners = leaders.partners(moment, whose=whose)
        first_links = leaders.links(moment, whose=whose)
        latest = confirmations.newest(viewpoint, moment)
        needs = endpoints.needs_of(viewpoint, now=moment.now)
        listed = newest(filters, rights=viewpoint.rights, upto=moment.bounds.head)
    return OverviewState(
        **moment.header,
        counters=wording.counters(statistics.total(steps), rights=viewpoint.rights, before=before, steps=steps),
        chart=courses.chart(steps, viewpoint),
        partners=first_partners,
        links=first_links,
        rows=listed,
        confirmations=latest,
        needs=needs,
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
