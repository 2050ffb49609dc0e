"""The filters of a view: read from a query string, written back in one canonical form. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

from livereferrals.dashboard.ranges import Dates, Range, parse_range
from livereferrals.events.models import EventType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from django.utils.functional import _StrPromise

MAX_QUERY_LENGTH = 2000
FIRST_DAY, LAST_DAY = "from", "to"
"""The fields in which somebody picks days; in canonical addresses they are one `range`."""
PLACE = "after"
"""The filter that says after which row a list goes on; changing any other one begins at the first row again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One filter that a page has beside range and types."""

    name: str
    label: str | _StrPromise = ""
    """What it is called on the screen; empty: it has no place among the filters there."""
    choices: tuple[str, ...] = ()
    """The values that mean something; none: any text that the pattern allows."""
    labels: Mapping[str, str | _StrPromise] = field(default_factory=dict)
    """What the choices are called; the default's (or that of the empty text) says that nothing is left out."""
    pattern: str = r".{1,200}"
    """What a whole text must look like where there are no choices."""
    default: str = ""
    """The value that is meant where none is given; it is left out of addresses."""

    def accepts(self, value: str) -> bool:
        """Whether the value means something."""
        if self.choices:
            return value in self.choices
        return re.fullmatch(self.pattern, value) is not None and value.isprintable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What one viewer has chosen to see; equal ones share their frames."""

    range: Range | Dates = Range.TODAY
    types: tuple[EventType, ...] = ()
    """The types of event in the list, in the order of `EventType`; none means all."""
    others: tuple[tuple[str, str], ...] = ()
    """The page's own filters that are not at their default: name and value, in the order of the page's fields."""

    @classmethod
    def parse(cls, query: str, fields: Sequence[Field] = ()) -> tuple[Self, tuple[str, ...]]:
        """Return the filters of a query string, and the values in it that mean nothing."""
        given = parse_qs(query[:MAX_QUERY_LENGTH], keep_blank_values=True)
        types = given.get("type", [])
        known = tuple(kind for kind in EventType if kind in types)
        unknown = [value for value in types if value not in EventType.values]
        asked = _asked_range(given)
        chosen = parse_range(asked)
        if chosen is None:
            unknown.append(asked)
        others = []
        for own in fields:
            # An empty value is an empty box of a form, not a mistake.
            value = given.get(own.name, [""])[-1].strip()
            if value and not own.accepts(value):
                unknown.append(value)
            elif value and value != own.default:
                others.append((own.name, value))
        return cls(range=chosen or Range.TODAY, types=known, others=tuple(others)), tuple(unknown)

    def query(self) -> str:
        """Return the canonical query string: the same for equal filters, empty for the defaults."""
        pairs = [] if self.range is Range.TODAY else [("range", str(self.range))]
        return urlencode([*pairs, *(("type", str(kind)) for kind in self.types), *self.others])

    def hash(self) -> str:
        """Return a short name of the filters, for `data-filter`."""
        return hashlib.sha256(self.query().encode()).hexdigest()[:12]

    def value(self, own: Field) -> str:
        """Return what is chosen of one of the page's own filters."""
        return dict(self.others).get(own.name, own.default)

    def with_range(self, chosen: Range | Dates) -> Self:
        """Return the filters with another range."""
        return replace(self._from_the_first_row(), range=chosen)

    def toggled(self, kind: EventType) -> Self:
        """Return the filters with one type more, or less if it was chosen."""
        chosen = set(self.types) ^ {kind}
        return replace(self._from_the_first_row(), types=tuple(known for known in EventType if known in chosen))

    def with_value(self, fields: Sequence[Field], name: str, value: str) -> Self:
        """Return the filters with another value of one of the page's own, which are `fields`."""
        others = dict(self.others) | {name: value}
        if name != PLACE:
            others.pop(PLACE, None)
        kept = tuple((own.name, others[own.name]) for own in fields if others.get(own.name, own.default) != own.default)
        return replace(self, others=kept)

    def _from_the_first_row(self) -> Self:
        return replace(self, others=tuple(pair for pair in self.others if pair[0] != PLACE))


def _asked_range(given: Mapping[str, Sequence[str]]) -> str:
    """Return what is asked for as a range: two days of a form, else a name."""
    first, last = (given.get(name, [""])[-1].strip() for name in (FIRST_DAY, LAST_DAY))
    if first or last:
        return f"{first or last}..{last or first}"
    return given.get("range", [Range.TODAY])[-1]
