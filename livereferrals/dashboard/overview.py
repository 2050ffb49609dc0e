"""The overview: what it shows at one cursor, as a page, as the answer to a filter, and as a live frame."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from livereferrals.dashboard import pacing, rows, snapshots, statistics, wording
from livereferrals.dashboard.ranges import Range, Span, span_of
from livereferrals.dashboard.rows import Choice, EventRow, OverviewPage, OverviewState
from livereferrals.events import log
from livereferrals.events.cursors import Cursor
from livereferrals.events.models import Event, EventType
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.filters import Filters
    from livereferrals.dashboard.viewpoints import Viewpoint

VIEW = "overview"
NEWEST = 50
"""Rows of the live list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The regions as they are at one cursor, ready to be sent; holds nothing of any one viewer."""

    cursor: Cursor
    period: str
    regions: Mapping[str, str]

    def markup(self, *, already: Mapping[str, str]) -> str:
        """Return the regions that differ from those a viewer has already, and the cursor, which comes last."""
        changed = [text for name, text in self.regions.items() if name == "cursor" or already.get(name) != text]
        return "".join(changed)


def current_span(filters: Filters, *, now: datetime) -> Span:
    """Return the span of time that the chosen range means now."""
    return span_of(filters.range, now=now, zone=timezone.get_default_timezone())


def read_state(viewpoint: Viewpoint) -> OverviewState:
    """Return what the overview shows now, in the active language, all of it at one cursor.

    At most seven queries in one reading transaction. Before it, rollups that have fallen far behind are brought forward.
    """
    statistics.keep_tail_short()
    filters = viewpoint.filters
    with snapshots.one_moment():
        bounds = log.bounds()
        now = timezone.now()
        span = current_span(filters, now=now)
        numbers = statistics.numbers(span, at=bounds)
        listed = _newest(filters, rights=viewpoint.rights, upto=bounds.head)
    return OverviewState(
        cursor=str(bounds.newest_cursor),
        query_hash=filters.hash(),
        period=span.name,
        time=now,
        counters=wording.counters(numbers, rights=viewpoint.rights),
        rows=listed,
        filtered=bool(filters.types),
    )


def page(viewpoint: Viewpoint, *, user: str, unknown: tuple[str, ...] = ()) -> OverviewPage:
    """Return the page of one viewer, in the active language."""
    state = read_state(viewpoint)
    filters = viewpoint.filters
    url = reverse("livereferrals_dashboard:overview")
    return OverviewPage(
        **{field.name: getattr(state, field.name) for field in fields(OverviewState)},
        view=VIEW,
        title=gettext("Overview"),
        user=user,
        range=str(filters.range),
        ranges=tuple(
            Choice(
                value=str(choice),
                label=str(wording.RANGES[choice]),
                url=_address(url, filters.with_range(choice)),
                current=choice is filters.range,
            )
            for choice in Range
        ),
        types=tuple(
            Choice(
                value=str(kind),
                label=str(wording.TYPES[kind]),
                url=_address(url, filters.toggled(kind)),
                current=kind in filters.types,
            )
            for kind in EventType
        ),
        query=filters.query(),
        url=url,
        live_url=_live_url(url, viewpoint, state),
        interval_s=pacing.INTERVAL_S,
        notices=tuple(gettext("“%(value)s” is no filter and was left out.") % {"value": value} for value in unknown),
    )


def frame(viewpoint: Viewpoint) -> Frame:
    """Return what the overview shows now as a frame, in the viewpoint's language. Blocks: not for the event loop."""
    with viewpoint.active():
        state = read_state(viewpoint)
        regions = {name: str(rows.render_region(name, state, oob=True)) for name in rows.REGIONS}
    return Frame(cursor=Cursor.parse(state.cursor), period=state.period, regions=regions)


def _newest(filters: Filters, *, rights: Rights, upto: int) -> tuple[EventRow, ...]:
    """Return the newest events of the chosen types up to this number. Two queries."""
    found = Event.objects.filter(seq__lte=upto)
    if filters.types:
        found = found.filter(type__in=filters.types)
    events = list(found.order_by("-seq")[:NEWEST])
    uids = {event.partner for event in events if event.partner}
    names = dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name")) if uids else {}
    return tuple(
        wording.event_row(event, partner_name=names.get(event.partner, event.partner), rights=rights)
        for event in events
    )


def _address(url: str, filters: Filters) -> str:
    query = filters.query()
    return f"{url}?{query}" if query else url


def _live_url(url: str, viewpoint: Viewpoint, state: OverviewState) -> str:
    own = {
        "view": VIEW,
        "language": viewpoint.language,
        "zone": viewpoint.zone,
        "cursor": state.cursor,
        "period": state.period,
    }
    return f"{url}live/ws?{'&'.join(filter(None, (urlencode(own), viewpoint.filters.query())))}"
