"""The filters of a view: read from a query string, written back in one canonical form. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from livereferrals.dashboard.ranges import Range
from livereferrals.events.models import EventType

if TYPE_CHECKING:
    from typing import Self

MAX_QUERY_LENGTH = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What one viewer has chosen to see; equal ones share their frames."""

    range: Range = Range.TODAY
    types: tuple[EventType, ...] = ()
    """The types of event in the list, in the order of `EventType`; none means all."""

    @classmethod
    def parse(cls, query: str) -> tuple[Self, tuple[str, ...]]:
        """Return the filters of a query string, and the values in it that mean nothing."""
        given = parse_qs(query[:MAX_QUERY_LENGTH], keep_blank_values=True)
        types = given.get("type", [])
        known = tuple(kind for kind in EventType if kind in types)
        unknown = [value for value in types if value not in EventType.values]
        chosen = given.get("range", [Range.TODAY])[-1]
        if chosen not in list(Range):
            unknown.append(chosen)
            chosen = Range.TODAY
        return cls(range=Range(chosen), types=known), tuple(unknown)

    def query(self) -> str:
        """Return the canonical query string: the same for equal filters, empty for the defaults."""
        pairs = [] if self.range is Range.TODAY else [("range", str(self.range))]
        return urlencode([*pairs, *(("type", str(kind)) for kind in self.types)])

    def hash(self) -> str:
        """Return a short name of the filters, for `data-filter`."""
        return hashlib.sha256(self.query().encode()).hexdigest()[:12]

    def with_range(self, chosen: Range) -> Self:
        """Return the filters with another range."""
        return replace(self, range=chosen)

    def toggled(self, kind: EventType) -> Self:
        """Return the filters with one type more, or less if it was chosen."""
        chosen = set(self.types) ^ {kind}
        return replace(self, types=tuple(known for known in EventType if known in chosen))
