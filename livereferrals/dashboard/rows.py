"""What regions are made of, as frozen values: `_counter.html` gets a `Counter`, `_event_row.html` an `EventRow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from livereferrals.events import wire

if TYPE_CHECKING:
    from datetime import datetime

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
    change: str = ""
    """How it differs from the range before, as people read it; empty where there is nothing to compare with."""
    spark: str = ""
    """The points of a small line through the range; empty where there is none."""


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
    partner_url: str = ""
    """The partner's page; empty where there is none."""
    link_url: str = ""
    """The link's page; empty where there is none."""
    url: str = ""
    """The page of what happened: a confirmation, a delivery, a visitor; empty where there is none for the viewer."""

    @property
    def id(self) -> str:
        """The row's element id, stable over frames."""
        return f"event-{self.seq}"

    @property
    def iso(self) -> str:
        """The time for `<time datetime>`: RFC 3339 in UTC with `Z`."""
        return wire.rfc3339(self.time)
