"""What the screen shows, as frozen values, and the partials that show it: the same at first paint and live.

The templates lie in `livereferrals/dashboard/`:

- `_counter.html` gets `counter` (a `Counter`), `_event_row.html` gets `row` (an `EventRow`), each included with `only`
  by its region;
- `_counters.html`, `_events.html`, `_cursor.html` are the regions that frames replace. They get `page` (an
  `OverviewState`, all that a frame may know: no user, no request) and `oob`: where it is true the region's root element
  has `hx-swap-oob="morph"`. The root's id is `counters`, `events`, `cursor`;
- `_filters.html` (id `filters`) gets `page` (an `OverviewPage`) and `oob`; it comes with the answer to a filter, never
  in a frame, because it belongs to one viewer's address;
- `overview.html` is the page and gets `page`; it includes the four.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from django.template.loader import render_to_string

from livereferrals.events import wire

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.safestring import SafeString

FOLDER = "livereferrals/dashboard"
REGIONS = ("counters", "events", "cursor")
"""What a live frame may carry, in this order."""

Tone = Literal["neutral", "good", "warn", "bad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One number of the page."""

    key: str
    """`hits`, `visitors`, `claims`, `confirmations`, `amount-<currency>` or `rate`; for `data-metric`."""
    label: str
    """What it counts, in the viewer's language."""
    raw: str
    """The unformatted number with a dot, for `data-value`; empty where there is none."""
    text: str
    """The number as people read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event of the live list."""

    seq: int
    """Its number in the log; the row's id is `event-<seq>`."""
    type: str
    """`hit`, `claim`, `confirmation`, `reversal` or `delivery`."""
    label: str
    """The type as a word in the viewer's language."""
    time: datetime
    """When it happened, in UTC."""
    partner: str
    """The partner's name; empty for the house."""
    partner_uid: str
    """The partner's uid; empty for the house."""
    link: str
    """The link's identifier; empty where there is none."""
    text: str
    """What happened, in words."""
    amount: str
    """The amount with its currency; empty where there is none or it may not be seen."""
    tone: Tone
    """What the state's colour says; the words say it too."""

    @property
    def id(self) -> str:
        """The row's element id, stable over frames."""
        return f"event-{self.seq}"

    @property
    def iso(self) -> str:
        """The time for `<time datetime>`: RFC 3339 in UTC with `Z`."""
        return wire.rfc3339(self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a filter, as a link that works without script."""

    value: str
    label: str
    url: str
    """The page's address with this value chosen (or, for a chosen one of several, taken away)."""
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewState:
    """Everything on the overview that moves, at one cursor: what page and frame share."""

    cursor: str
    """The place in the log at which everything here was read."""
    query_hash: str
    """Names the filters; goes into `data-filter`, so that a frame of older filters can be told and dropped."""
    period: str
    """Names the span of time that the range means just now; goes into `data-period` of the cursor's element."""
    time: datetime
    """The server's time when it was read."""
    counters: tuple[Counter, ...]
    rows: tuple[EventRow, ...]
    """Newest first, at most 50."""
    filtered: bool
    """Whether a filter narrows the list; an empty list then means "nothing of this kind"."""

    @property
    def iso(self) -> str:
        """The time for `<time datetime>`: RFC 3339 in UTC with `Z`."""
        return wire.rfc3339(self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage(OverviewState):
    """The whole overview of one viewer."""

    view: str
    """The view's name in `data-view` and in the live socket's address."""
    title: str
    user: str
    """Who is signed in."""
    range: str
    """The chosen range: `today`, `24h`, `7d` or `30d`."""
    ranges: tuple[Choice, ...]
    types: tuple[Choice, ...]
    """The types of event; none current means all are shown."""
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


def render_region(name: str, page: OverviewState, *, oob: bool) -> SafeString:
    """Return the markup of one region, the same for page and frame; `oob` marks it as replacing the one on the page."""
    return render_to_string(f"{FOLDER}/_{name}.html", {"page": page, "oob": oob})
