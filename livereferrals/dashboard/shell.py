"""What stands around a page's regions and belongs to one viewer and one address: tabs, filters, the live address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from livereferrals.dashboard import assets, catalogue, pacing, wording
from livereferrals.dashboard.addresses import address, with_query
from livereferrals.dashboard.pages import FOLDER
from livereferrals.dashboard.ranges import Dates, Range
from livereferrals.events.models import EventType

if TYPE_CHECKING:
    from livereferrals.dashboard.accounts import Account
    from livereferrals.dashboard.customising import Entry
    from livereferrals.dashboard.filters import Field, Filters
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
class Menu:
    """A filter with a few values."""

    label: str
    chosen: str
    """The label of the value that is chosen; empty while nothing is left out."""
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A filter that is typed."""

    name: str
    label: str
    value: str
    clear_url: str
    kept: tuple[tuple[str, str], ...]
    """The other filters, as names and values of hidden fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPicker:
    """A range of days of one's own choice."""

    first: str
    """The first day as `YYYY-MM-DD`; empty while another range is chosen."""
    last: str
    chosen: str
    """The days as people read them; empty while another range is chosen."""
    kept: tuple[tuple[str, str], ...]
    """The other filters, as names and values of hidden fields."""


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
    account: Account
    """Who is signed in."""
    tabs: tuple[Tab, ...]
    entries: tuple[Entry, ...]
    """The host's own entries in the bar."""
    ranges: tuple[Choice, ...]
    """The ranges of time; none where the page has no such choice."""
    days: DayPicker | None
    types: tuple[Choice, ...]
    """The types of event; none current means all are shown, none at all that the page has no such choice."""
    menus: tuple[Menu, ...]
    searches: tuple[Search, ...]
    export_url: str
    """Where the page's list is had as CSV; empty where it cannot be, or the viewer may not."""
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

    @property
    def narrowing(self) -> int:
        """How many of the page's own filters leave something out."""
        return sum(bool(menu.chosen) for menu in self.menus) + sum(bool(search.value) for search in self.searches)


def build(
    page: Page,
    viewpoint: Viewpoint,
    state: State,
    *,
    account: Account,
    entries: tuple[Entry, ...] = (),
    unknown: tuple[str, ...] = (),
) -> Shell:
    """Return what stands around the page's regions for one viewer, in the active language."""
    filters = viewpoint.filters
    url = address(page.name, viewpoint.subject)
    return Shell(
        view=page.name,
        title=page.title(state),
        account=account,
        tabs=_tabs(page, viewpoint),
        entries=entries,
        ranges=_ranges(url, filters) if page.ranged else (),
        days=_day_picker(filters) if page.ranged else None,
        types=_types(url, filters) if page.typed else (),
        menus=tuple(_menu(field, page, url, filters) for field in page.fields if field.label and field.choices),
        searches=tuple(
            _search(field, page, url, filters) for field in page.fields if field.label and not field.choices
        ),
        export_url=_export_url(page, viewpoint),
        query=filters.query(),
        url=url,
        live_url=_live_url(viewpoint, state),
        interval_s=pacing.INTERVAL_S,
        notices=tuple(gettext("“%(value)s” is no filter and was left out.") % {"value": value} for value in unknown),
    )


def render_filters(shell: Shell) -> SafeString:
    """Return the markup of the filters, as it replaces the one on the page."""
    names = ("_filters.html", "_types.html") if shell.types else ("_filters.html",)
    return SafeString("".join(render_to_string(f"{FOLDER}/{name}", {"shell": shell, "oob": True}) for name in names))


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


def _day_picker(filters: Filters) -> DayPicker:
    picked = filters.range if isinstance(filters.range, Dates) else None
    return DayPicker(
        first=str(picked.first) if picked else "",
        last=str(picked.last) if picked else "",
        chosen=wording.picked_days(picked) if picked else "",
        kept=tuple(parse_qsl(filters.with_range(Range.TODAY).query())),
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


def _menu(field: Field, page: Page, url: str, filters: Filters) -> Menu:
    chosen = filters.value(field)
    return Menu(
        label=str(field.label),
        chosen="" if chosen == field.default else str(field.labels.get(chosen, chosen)),
        choices=tuple(
            Choice(
                value=value,
                label=str(field.labels.get(value, value)),
                url=with_query(url, filters.with_value(page.fields, field.name, value)),
                current=value == chosen,
            )
            for value in dict.fromkeys((field.default, *field.choices))
        ),
    )


def _search(field: Field, page: Page, url: str, filters: Filters) -> Search:
    without = filters.with_value(page.fields, field.name, "")
    return Search(
        name=field.name,
        label=str(field.label),
        value=filters.value(field),
        clear_url=with_query(url, without),
        kept=tuple(parse_qsl(without.query())),
    )


def _export_url(page: Page, viewpoint: Viewpoint) -> str:
    if not page.exports or not viewpoint.rights.may("export_referrals"):
        return ""
    return with_query(address(f"{page.name}_export", viewpoint.subject), viewpoint.filters)


def _live_url(viewpoint: Viewpoint, state: State) -> str:
    own = {
        "view": viewpoint.view,
        **({"subject": viewpoint.subject} if viewpoint.subject else {}),
        "language": viewpoint.language,
        "zone": viewpoint.zone,
        "assets": assets.version(),
        "cursor": state.cursor,
        "period": state.period,
    }
    return f"{address('overview')}live/ws?{'&'.join(filter(None, (urlencode(own), viewpoint.filters.query())))}"
