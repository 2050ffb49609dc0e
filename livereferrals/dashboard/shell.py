"""What stands around a page's regions and belongs to one viewer and one address: tabs, filters, the live address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext

from livereferrals.dashboard import catalogue, pacing, wording
from livereferrals.dashboard.pages import FOLDER
from livereferrals.dashboard.ranges import Range
from livereferrals.events.models import EventType

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    from livereferrals.dashboard.filters import Filters
    from livereferrals.dashboard.pages import Page, State
    from livereferrals.dashboard.viewpoints import Viewpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a filter, as a link that works without script."""

    value: str
    label: str
    url: str
    """The page's address with this value chosen (or, for a chosen one of several, taken away)."""
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One section of the dashboard in the bar."""

    label: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """One viewer's page without what moves on it."""

    view: str
    """The page's name in `data-view` and in the live socket's address."""
    title: str
    user: str
    """Who is signed in."""
    tabs: tuple[Tab, ...]
    ranges: tuple[Choice, ...]
    """The ranges of time; none where the page has no such choice."""
    types: tuple[Choice, ...]
    """The types of event; none current means all are shown, none at all that the page has no such choice."""
    query: str
    """The filters as a canonical query string without `?`: what `app.js` sends in `filters`."""
    url: str
    """The page's own path, without query: fragments and polls go there."""
    live_url: str
    """The live socket's path with view, filters, language, zone; `app.js` replaces `cursor` and `period` by those of
    the `#cursor` element and keeps the rest."""
    interval_s: float
    """The shortest time between two frames."""
    notices: tuple[str, ...]
    """What the viewer should know, such as a filter value that was not understood."""


def build(page: Page, viewpoint: Viewpoint, state: State, *, user: str, unknown: tuple[str, ...] = ()) -> Shell:
    """Return what stands around the page's regions for one viewer, in the active language."""
    filters = viewpoint.filters
    url = address(page.name, viewpoint.subject)
    return Shell(
        view=page.name,
        title=page.title(state),
        user=user,
        tabs=_tabs(page, viewpoint),
        ranges=_ranges(url, filters) if page.ranged else (),
        types=_types(url, filters) if page.typed else (),
        query=filters.query(),
        url=url,
        live_url=_live_url(viewpoint, state),
        interval_s=pacing.INTERVAL_S,
        notices=tuple(gettext("“%(value)s” is no filter and was left out.") % {"value": value} for value in unknown),
    )


def render_filters(shell: Shell) -> SafeString:
    """Return the markup of the filters, as it replaces the one on the page."""
    return render_to_string(f"{FOLDER}/_filters.html", {"shell": shell, "oob": True})


def address(name: str, subject: str = "") -> str:
    """Return the path of a page."""
    return reverse(f"livereferrals_dashboard:{name}", args=[subject] if subject else None)


def with_query(url: str, filters: Filters) -> str:
    """Return the address of the page at `url` under these filters."""
    query = filters.query()
    return f"{url}?{query}" if query else url


def _tabs(page: Page, viewpoint: Viewpoint) -> tuple[Tab, ...]:
    current = page.below or page.name
    return tuple(
        Tab(label=str(other.tab), url=address(other.name), current=other.name == current)
        for other in catalogue.PAGES
        if other.tab is not None and other.may_see(viewpoint.rights)
    )


def _ranges(url: str, filters: Filters) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            value=str(choice),
            label=str(wording.RANGES[choice]),
            url=with_query(url, filters.with_range(choice)),
            current=choice is filters.range,
        )
        for choice in Range
    )


def _types(url: str, filters: Filters) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            value=str(kind),
            label=str(wording.TYPES[kind]),
            url=with_query(url, filters.toggled(kind)),
            current=kind in filters.types,
        )
        for kind in EventType
    )


def _live_url(viewpoint: Viewpoint, state: State) -> str:
    own = {
        "view": viewpoint.view,
        **({"subject": viewpoint.subject} if viewpoint.subject else {}),
        "language": viewpoint.language,
        "zone": viewpoint.zone,
        "cursor": state.cursor,
        "period": state.period,
    }
    return f"{address('overview')}live/ws?{'&'.join(filter(None, (urlencode(own), viewpoint.filters.query())))}"
