"""What a page of the dashboard is: a name, regions, and a reading of what they show at one cursor.

Each page is one module that says

    PAGE = Page(name="links", template="links.html", regions=("links", "cursor"), read=read_state, label=..., ...)

and is listed in `catalogue`. The same `read` makes the first paint, the answer to a filter and the live frame, so that
they cannot differ. A region is one template, `livereferrals/dashboard/_<name>.html`, whose root element has the region's
name as its id; it gets `page`, the state that `read` returned, and `oob`: where it is true the root element has
`hx-swap-oob="morph"`. A region knows of no viewer: no user, no request, no token. What belongs to one viewer is in `shell`,
which the page around the regions gets besides (see `shell.py`).

What goes wrong in one region stays in it: `read` reads what a region shows by `moment.part(region, ...)`, and `read_page`
leaves out the one that failed and reads the others anew, because on PostgreSQL an error ends the transaction and everything
has to be of one moment. On a page of one region whatever fails is that region's; on another what no region is read by,
such as the page's own subject, leaves the page without any, and is told of in the place of the first.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.template.loader import render_to_string
from django.utils import timezone

from livereferrals.dashboard import failures, snapshots
from livereferrals.dashboard.failures import RegionError, journal
from livereferrals.dashboard.shortening import shorten_for_page
from livereferrals.dashboard.statistics import Figures
from livereferrals.events import log, wire
from livereferrals.events.cursors import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from django.utils.functional import _StrPromise
    from django.utils.safestring import SafeString

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.filters import Field
    from livereferrals.dashboard.ranges import Span
    from livereferrals.dashboard.viewpoints import Viewpoint
    from livereferrals.events.log import Bounds

T = TypeVar("T")
U = TypeVar("U")

FOLDER = "livereferrals/dashboard"
WHOLE: Final = "page"
"""Stands for all regions of a page."""
CURSOR: Final = "cursor"
"""The region that says how far the others are: it comes last and is always there."""


class NoSuchSubjectError(LookupError):
    """The page is about something that is not there, or that the viewer may not know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything on a page that moves, at one cursor: what page and frame share. Pages add to it."""

    cursor: str
    """The place in the log at which everything here was read."""
    query_hash: str
    """Names the filters; goes into `data-filter`, so that a frame of older filters can be told and dropped."""
    period: str
    """Names how long this stays right if nothing is logged; goes into `data-period` of the cursor's element.

    Empty while a region has failed: such a page is never current, so that it is tried again without an event too.
    """
    time: datetime
    """The server's time when it was read."""
    portal: bool
    """Whether a partner's login looks: what staff would do next is not offered to it."""
    failed: Mapping[str, str]
    """The regions that could not be read, each with the reference by which the log has it; empty: told of in another's
    place."""

    @property
    def iso(self) -> str:
        """The time for `<time datetime>`: RFC 3339 in UTC with `Z`."""
        return wire.rfc3339(self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One place in the log and one time, at which everything on a page is read."""

    bounds: Bounds
    now: datetime
    span: Span
    """What the chosen range means now."""
    header: Mapping[str, Any]
    """The fields of `State`."""
    figures: Figures
    """The numbers at this place."""
    failed: Mapping[str, str]
    """The regions that are not to be tried again this time."""

    def part(self, region: str, read: Callable[[], T], otherwise: U) -> T | U:
        """Return what one region shows, `otherwise` where it has failed.

        Raises:
            NoSuchSubjectError: what the page is about is not there.
            RegionError: it fails just now; the page is to be read again without it.
        """
        if region in self.failed:
            return otherwise
        try:
            return read()
        except NoSuchSubjectError:
            raise
        except Exception as error:
            raise RegionError(region) from error


@contextmanager
def one_moment(viewpoint: Viewpoint) -> Iterator[Moment]:
    """Read everything inside at one moment, and write nothing inside. Rollups that lag are brought forward before."""
    shorten_for_page()
    with snapshots.one_moment():
        bounds = log.bounds()
        now = timezone.now()
        span = viewpoint.span(now=now)
        header = {
            "cursor": str(bounds.newest_cursor),
            "query_hash": viewpoint.filters.hash(),
            "period": "" if viewpoint.failed else viewpoint.period(now=now).name,
            "time": now,
            "portal": not viewpoint.rights.is_staff,
            "failed": viewpoint.failed,
        }
        yield Moment(bounds=bounds, now=now, span=span, header=header, figures=Figures(bounds), failed=viewpoint.failed)


def _anybody(rights: Rights) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the dashboard."""

    name: str
    """Its URL name, `data-view`, and the `view` of its live socket."""
    template: str
    regions: tuple[str, ...]
    """What a live frame may carry, in this order; `cursor` comes last."""
    read: Callable[[Viewpoint], State]
    """Returns what the page shows now, in the active language; blocks.

    Raises:
        NoSuchSubjectError: what the page is about is not there.
    """
    title: Callable[[State], str]
    """The page's name for people, in the active language; of its subject where it has one."""
    tab: _StrPromise | None = None
    """What its tab says; nothing: it has none."""
    below: str = ""
    """The page whose tab is marked as current; empty: its own."""
    may_see: Callable[[Rights], bool] = _anybody
    """Whether somebody with these rights sees the page at all."""
    fields: tuple[Field, ...] = ()
    """Its own filters."""
    exports: bool = False
    """Whether its list can be taken away as CSV, under the URL name `<name>_export`."""
    ranged: bool = False
    """Whether it has the choice of a range of time."""
    typed: bool = False
    """Whether it has the choice of types of event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The regions as they are at one cursor, ready to be sent; holds nothing of any one viewer."""

    cursor: Cursor
    period: str
    regions: Mapping[str, str]
    is_whole: bool = True
    """Whether every region is as it should be; else the next one is rendered a little later, event or not."""

    def markup(self, *, already: Mapping[str, str]) -> str:
        """Return the regions that differ from those a viewer has already, and the cursor, which comes last."""
        changed = [text for name, text in self.regions.items() if name == "cursor" or already.get(name) != text]
        return "".join(changed)


def read_page(page: Page, viewpoint: Viewpoint) -> State:
    """Return what the page shows now, without the regions that cannot be read: those are in `failed`. Blocks.

    Raises:
        NoSuchSubjectError: what the page is about is not there.
        django.db.Error: the database does not even say where the log stands.
    """
    failed: dict[str, str] = {}
    while True:
        try:
            return _read_once(page, replace(viewpoint, failed=dict(failed)))
        except RegionError as error:
            cause = error.__cause__
            reference = journal.note(page=page.name, region=error.region, error=cause)
            if error.region == WHOLE:
                return _without_regions(page, viewpoint, reference=reference)
            failed[error.region] = reference


def _without_regions(page: Page, viewpoint: Viewpoint, *, reference: str) -> State:
    """Return the page without any of its regions: the first one tells of it, and the others keep their places."""
    first, *others = (name for name in page.regions if name != CURSOR)
    failed = {first: reference, **dict.fromkeys(others, "")}
    with one_moment(replace(viewpoint, failed=failed)) as moment:
        return State(**moment.header)


def _read_once(page: Page, viewpoint: Viewpoint) -> State:
    only = page.regions[0] if len(page.regions) == 2 else ""
    if only in viewpoint.failed:
        with one_moment(viewpoint) as moment:
            return State(**moment.header)
    try:
        return page.read(viewpoint)
    except (NoSuchSubjectError, RegionError):
        raise
    except Exception as error:
        raise RegionError(only or WHOLE) from error


def render_regions(page: Page, state: State, *, oob: bool) -> tuple[State, dict[str, SafeString]]:
    """Return the markup of each region by its name, and the state with those besides that could not be drawn."""
    found: dict[str, SafeString] = {}
    failed = dict(state.failed)
    for name in page.regions:
        if name not in failed and name != CURSOR:
            try:
                found[name] = render_region(name, state, oob=oob)
            except Exception as error:  # noqa: BLE001 - of whatever kind: logged, and shown in its place
                failed[name] = journal.note(page=page.name, region=name, error=error)
    if failed:
        state = replace(state, failed=failed, period="")
        found |= {name: _render_failure(name, state, oob=oob) for name in failed}
    found[CURSOR] = render_region(CURSOR, state, oob=oob)
    return state, {name: found[name] for name in page.regions}


def render_frame(page: Page, viewpoint: Viewpoint) -> Frame:
    """Return what the page shows now as a frame, in the viewpoint's language. Blocks: not for the event loop.

    Raises:
        NoSuchSubjectError: what the page is about is not there any more.
        django.db.Error: as `read_page`.
    """
    with viewpoint.active():
        state, regions = render_regions(page, read_page(page, viewpoint), oob=True)
    return Frame(
        cursor=Cursor.parse(state.cursor),
        period=state.period,
        regions={name: str(text) for name, text in regions.items()},
        is_whole=not state.failed,
    )


def render_region(name: str, state: State, *, oob: bool) -> SafeString:
    """Return the markup of one region, the same for page and frame; `oob` marks it as replacing the one on the page."""
    return render_to_string(f"{FOLDER}/_{name}.html", {"page": state, "oob": oob})


def _render_failure(name: str, state: State, *, oob: bool) -> SafeString:
    """Return what stands in the place of a region that failed."""
    facts = {
        "region": name,
        "part": failures.PARTS.get(name, name),
        "is_page": "" in state.failed.values(),
        "reference": state.failed[name],
        "page": state,
        "oob": oob,
    }
    return render_to_string(f"{FOLDER}/_failed.html", facts)
