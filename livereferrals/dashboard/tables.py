"""Tables as frozen values, shown by `_table.html` in every region that has one. Pure.

A column says where its cells go on a narrow screen and whether they are numbers; a cell says what is read by people
(`text`), by programs (`raw`), and where it leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livereferrals.events import wire

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.dashboard.rows import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell."""

    text: str = ""
    raw: str = ""
    """The value as programs read it, in `data-value` and in exports; empty: the text."""
    url: str = ""
    """Where the text leads inside the dashboard; empty: nowhere."""
    time: datetime | None = None
    """A moment, shown in the viewer's zone and kept current by the script; `text` may say it in words besides."""
    countdown: bool = False
    """Whether the script counts down to `time`."""
    icon: str = ""
    """One of the symbols of `_icons.html`, without `lr-`."""
    tone: Tone = "neutral"
    metric: str = ""
    """The number's name in `data-metric`, where it is one that must be right at the cursor."""
    copy: bool = False
    """Whether a button copies the text."""
    hint: str = ""
    """What tells it from others of that name."""
    bar: float | None = None
    """The length of a bar below it, of 100: another cell of the row has the number."""

    @property
    def iso(self) -> str:
        """The time for `<time datetime>`: RFC 3339 in UTC with `Z`."""
        return "" if self.time is None else wire.rfc3339(self.time)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see; a narrow screen leaves it out."""
        return not (self.text or self.icon or self.time is not None)

    @property
    def value(self) -> str:
        """What an export writes."""
        return self.raw or (self.iso if self.time is not None else self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One column's head."""

    key: str
    label: str
    numeric: bool = False
    minor: bool = False
    """Left out on a narrow screen."""
    url: str = ""
    """The page sorted by this column; empty: it cannot be sorted by it."""
    sorted: str = ""
    """`ascending` or `descending` where the table is sorted by it, for `aria-sort`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row."""

    id: str
    """The element's id, stable over frames; empty for a place in a ranking, which is no news when another takes it."""
    cells: tuple[Cell, ...]
    tone: Tone = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """What stands where a table has no rows: what would be here, and the next step."""

    title: str
    text: str = ""
    url: str = ""
    link: str = ""
    """What the link says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its way on."""

    caption: str
    """What it shows, for those who do not see where it stands."""
    headings: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    empty: Empty
    first_url: str = ""
    """The first rows, where these are not."""
    next_url: str = ""
    """The rows after these, where there are more."""

    @property
    def columns(self) -> tuple[tuple[Heading, ...], int]:
        """The headings and how many they are."""
        return self.headings, len(self.headings)

    def lines(self) -> tuple[tuple[TableRow, tuple[tuple[Heading, Cell], ...]], ...]:
        """Return each row with its cells, each beside its heading."""
        return tuple((row, tuple(zip(self.headings, row.cells, strict=True))) for row in self.rows)


NOTHING: Final = Table(caption="", headings=(), rows=(), empty=Empty(title=""))
"""Stands for a table that could not be read; it is never shown."""
