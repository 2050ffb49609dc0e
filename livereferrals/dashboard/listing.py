"""Lists of rows of the database: filtered, sorted, paged by key, as a table and as an export. One declaration for all.

    LISTING = Listing(
        columns=(Column(key="name", label=gettext_lazy("Name"), cell=lambda row, _: Cell(text=row.name), order=("name",)), ...),
        rows=lambda viewpoint, moment: visible(Partner.objects.all(), rights=viewpoint.rights),
        order="name",
        ...
    )
    PAGE = Page(..., fields=(*LISTING.fields, STATE, SEARCH), ...)

Paging is by key, never by OFFSET, so that the thousandth page costs what the first does: the address says the last row's
place, and the next page begins after it.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model, Q
from django.utils.translation import gettext

from livereferrals.dashboard import pages
from livereferrals.dashboard.addresses import address, with_query
from livereferrals.dashboard.columns import Column as Column
from livereferrals.dashboard.columns import extra_columns
from livereferrals.dashboard.filters import PLACE, Field
from livereferrals.dashboard.tables import Empty, Heading, Table, TableRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from django.db.models import QuerySet
    from django.utils.functional import _StrPromise

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.rows import Tone
    from livereferrals.dashboard.viewpoints import Viewpoint

Row = TypeVar("Row", bound=Model)

PAGE_ROWS = 50
EXPORT_ROWS = 2_000
"""Rows read at a time for an export."""
SORT = "sort"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Row]):
    """A list and its ways."""

    name: str
    """Of the page, of the exported file, and before each row's id."""
    caption: _StrPromise
    columns: tuple[Column[Row], ...]
    rows: Callable[[Viewpoint, Moment], QuerySet[Row]]
    """The rows that the viewer may see and has chosen, unsorted."""
    order: str
    """The column that it is sorted by where nothing is chosen."""
    empty: Callable[[Viewpoint], Empty]
    key: str = "pk"
    """What names a row in the page's markup: for rows that the database numbers a field that nobody can count by."""
    complete: Callable[[Sequence[Row], Viewpoint, Moment], None] = lambda rows, viewpoint, moment: None
    """Called with the rows of one page, to give them what one more query finds for all of them together."""
    tone: Callable[[Row], Tone] = lambda row: "neutral"

    @property
    def fields(self) -> tuple[Field, ...]:
        """The filters that every list has: sort order and place."""
        keys = tuple(column.key for column in self.columns if column.order)
        choices = tuple(sign + key for key in keys for sign in ("", "-"))
        return (
            Field(name=SORT, choices=choices, default=self.order),
            Field(name=PLACE, pattern=r"[\w-]{1,400}"),
        )

    def table(self, viewpoint: Viewpoint, moment: Moment, *, fields: Sequence[Field], limit: int = PAGE_ROWS) -> Table:
        """Return the page of the list that the filters mean; `fields` are the page's own. One query and `complete`'s."""
        ordering = self._ordering(viewpoint)
        found = self.rows(viewpoint, moment).order_by(*ordering)
        place = _place(found.model, ordering, viewpoint.filters.value(self.fields[1]))
        if place:
            found = found.filter(_after(ordering, place))
        page = list(found[: limit + 1])
        shown, more = page[:limit], len(page) > limit
        self.complete(shown, viewpoint, moment)
        columns = self.columns_for(viewpoint, shown)
        return Table(
            caption=str(self.caption),
            headings=self._headings(columns, viewpoint, fields),
            rows=tuple(self._row(row, columns, viewpoint) for row in shown),
            empty=self.empty(viewpoint),
            first_url=self._url(viewpoint, fields, PLACE, "") if place else "",
            next_url=self._url(viewpoint, fields, PLACE, _written(shown[-1], ordering)) if more else "",
        )

    def excerpt(
        self, rows: Sequence[Row], viewpoint: Viewpoint, moment: Moment, *, empty: Empty, without: Collection[str] = ()
    ) -> Table:
        """Return these rows as a table on another page, with neither order nor way on, `without` some columns."""
        self.complete(rows, viewpoint, moment)
        columns = tuple(column for column in self.columns_for(viewpoint, rows) if column.key not in without)
        return Table(
            caption=str(self.caption),
            headings=tuple(
                Heading(key=column.key, label=str(column.label), numeric=column.numeric, minor=column.minor)
                for column in columns
            ),
            rows=tuple(self._row(row, columns, viewpoint) for row in rows),
            empty=empty,
        )

    def columns_for(self, viewpoint: Viewpoint, rows: Sequence[Row] = ()) -> tuple[Column[Row], ...]:
        """Return the columns that the viewer may see, the host's last; theirs look up what they need of these rows."""
        own = tuple(column for column in self.columns if not column.needs or viewpoint.rights.may(column.needs))
        return (*own, *(extra.of(rows) for extra in extra_columns(self.name, rights=viewpoint.rights)))

    def lines(self, viewpoint: Viewpoint, moment: Moment) -> Iterator[list[str]]:
        """Give the values of every chosen row for an export, read in parts: no transaction stays open meanwhile."""
        ordering = self._ordering(viewpoint)
        found = self.rows(viewpoint, moment).order_by(*ordering)
        part = self._part(found, viewpoint)
        while part:
            columns = self.columns_for(viewpoint, part)
            for row in part:
                yield [column.cell(row, viewpoint).value for column in columns]
            last = [_value(part[-1], name) for name in ordering]
            part = self._part(found.filter(_after(ordering, last)), viewpoint) if len(part) == EXPORT_ROWS else []

    def _part(self, found: QuerySet[Row], viewpoint: Viewpoint) -> list[Row]:
        """Return the first rows, complete, read at a moment of their own: rollups move on between two parts."""
        with pages.one_moment(viewpoint) as moment:
            part = list(found[:EXPORT_ROWS])
            self.complete(part, viewpoint, moment)
        return part

    def _ordering(self, viewpoint: Viewpoint) -> tuple[str, ...]:
        chosen = viewpoint.filters.value(self.fields[0])
        by = next(column.order for column in self.columns if column.key == chosen.removeprefix("-"))
        return tuple(_turned(name) for name in by) if chosen.startswith("-") else by

    def _headings(
        self, columns: Sequence[Column[Row]], viewpoint: Viewpoint, fields: Sequence[Field]
    ) -> tuple[Heading, ...]:
        chosen = viewpoint.filters.value(self.fields[0])
        return tuple(self._heading(column, chosen, viewpoint, fields) for column in columns)

    def _heading(self, column: Column[Row], chosen: str, viewpoint: Viewpoint, fields: Sequence[Field]) -> Heading:
        current = chosen.removeprefix("-") == column.key
        other = f"-{column.key}" if chosen == column.key else column.key
        falls = bool(column.order) and column.order[0].startswith("-") is not chosen.startswith("-")
        return Heading(
            key=column.key,
            label=str(column.label),
            numeric=column.numeric,
            minor=column.minor,
            url=self._url(viewpoint, fields, SORT, other) if column.order else "",
            sorted=("descending" if falls else "ascending") if current else "",
        )

    def _row(self, row: Row, columns: Sequence[Column[Row]], viewpoint: Viewpoint) -> TableRow:
        return TableRow(
            id=f"{self.name}-{getattr(row, self.key)}",
            cells=tuple(column.cell(row, viewpoint) for column in columns),
            tone=self.tone(row),
        )

    def _url(self, viewpoint: Viewpoint, fields: Sequence[Field], name: str, value: str) -> str:
        chosen = viewpoint.filters.with_value(fields, name, value)
        return with_query(address(viewpoint.view, viewpoint.subject), chosen)


def no_rows(title: str) -> Empty:
    """Return what stands where the filters leave nothing."""
    return Empty(title=title, text=gettext("Choose other filters to see more."))


def _turned(name: str) -> str:
    return name.removeprefix("-") if name.startswith("-") else f"-{name}"


def _value(row: Model, name: str) -> Any:
    return getattr(row, name.removeprefix("-"))


def _written(row: Model, ordering: Sequence[str]) -> str:
    """Return a row's place in a sorted list, as it stands in an address."""
    texts = [str(_value(row, name)) for name in ordering]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def _place(model: type[Model], ordering: Sequence[str], text: str) -> list[Any]:
    """Return the values that an address names; nothing where it names none that fit this order."""
    if not text:
        return []
    try:
        texts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        names = [name.removeprefix("-") for name in ordering]
        fields = [model._meta.pk if name == "pk" else model._meta.get_field(name) for name in names]
        return [field.to_python(value) for field, value in zip(fields, texts, strict=True)]  # type: ignore[union-attr]
    except (ValueError, TypeError, binascii.Error, ValidationError, FieldDoesNotExist):
        # An address by hand, or of another order: the first rows are what is meant.
        return []


def _after(ordering: Sequence[str], place: Sequence[Any]) -> Q:
    """Return the condition of the rows after a place, in a form that an index on these fields can answer.

    For the order `a, b`: `a >= x AND (a > x OR b > y)`; the first half bounds the index, the second picks.
    """
    side = "lt" if ordering[0].startswith("-") else "gt"
    names = [name.removeprefix("-") for name in ordering]
    pairs = list(zip(names, place, strict=True))
    steps = [
        Q(**dict(pairs[:count])) & Q(**{f"{pairs[count][0]}__{side}": pairs[count][1]}) for count in range(len(pairs))
    ]
    return Q(**{f"{names[0]}__{side}e": place[0]}) & reduce(or_, steps)
