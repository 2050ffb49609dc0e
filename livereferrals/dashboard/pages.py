"""What a page of the dashboard is: a name, regions, and a reading of what they show at one cursor.

Each page is one module that says

    PAGE = Page(name="links", template="links.html", regions=("links", "cursor"), read=read_state, label=..., ...)

and is listed in `catalogue`. The same `read` makes the first paint, the answer to a filter and the live frame, so that
they cannot differ. A region is one template, `livereferrals/dashboard/_<name>.html`, whose root element has the region's
name as its id; it gets `page`, the state that `read` returned, and `oob`: where it is true the root element has
`hx-swap-oob="morph"`. A region knows of no viewer: no user, no request, no token. What belongs to one viewer is in `shell`,
which the page around the regions gets besides (see `shell.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.template.loader import render_to_string
from django.utils import timezone

from livereferrals.dashboard import snapshots, statistics
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

FOLDER = "livereferrals/dashboard"


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
    """Names the span of time that the range means just now; goes into `data-period` of the cursor's element."""
    time: datetime
    """The server's time when it was read."""
    portal: bool
    """Whether a partner's login looks: what staff would do next is not offered to it."""

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


@contextmanager
def one_moment(viewpoint: Viewpoint) -> Iterator[Moment]:
    """Read everything inside at one moment, and write nothing inside. Rollups that lag are brought forward before."""
    statistics.keep_tail_short()
    with snapshots.one_moment():
        bounds = log.bounds()
        now = timezone.now()
        span = viewpoint.span(now=now)
        header = {
            "cursor": str(bounds.newest_cursor),
            "query_hash": viewpoint.filters.hash(),
            "period": span.name,
            "time": now,
            "portal": not viewpoint.rights.is_staff,
        }
        yield Moment(bounds=bounds, now=now, span=span, header=header, figures=Figures(bounds))


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

    def markup(self, *, already: Mapping[str, str]) -> str:
        """Return the regions that differ from those a viewer has already, and the cursor, which comes last."""
        changed = [text for name, text in self.regions.items() if name == "cursor" or already.get(name) != text]
        return "".join(changed)


def render_frame(page: Page, viewpoint: Viewpoint) -> Frame:
    """Return what the page shows now as a frame, in the viewpoint's language. Blocks: not for the event loop.

    Raises:
        NoSuchSubjectError: what the page is about is not there any more.
    """
    with viewpoint.active():
        state = page.read(viewpoint)
        regions = {name: str(render_region(name, state, oob=True)) for name in page.regions}
    return Frame(cursor=Cursor.parse(state.cursor), period=state.period, regions=regions)


def render_region(name: str, state: State, *, oob: bool) -> SafeString:
    """Return the markup of one region, the same for page and frame; `oob` marks it as replacing the one on the page."""
    return render_to_string(f"{FOLDER}/_{name}.html", {"page": state, "oob": oob})
