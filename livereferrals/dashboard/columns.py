"""Columns of the dashboard's lists, those of the host too.

A host's column is an `ExtraColumn` anywhere in its code, named in its settings:

    # mysite/referrals.py
    from livereferrals.dashboard.columns import Cell, ExtraColumn

    tier = ExtraColumn(
        key="tier",
        label=gettext_lazy("Tier"),
        look_up=lambda partners: dict(Tier.objects.filter(partner__in=partners).values_list("partner_id", "name")),
        cell=lambda partner, name: Cell(text=name or ""),
    )

    # settings.py
    LIVEREFERRALS = {"DASHBOARD_COLUMNS": {"partners": ["mysite.referrals.tier"]}}
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from django.db.models import Model
from django.utils.module_loading import import_string

from livereferrals import conf
from livereferrals.dashboard import snapshots
from livereferrals.dashboard.tables import Cell as Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.utils.functional import _StrPromise

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.viewpoints import Viewpoint

Row = TypeVar("Row", bound=Model)
T = TypeVar("T")

logger = logging.getLogger(__name__)

FAILED: Final = Cell(text="\N{EN DASH}")
"""What stands where a host's column raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column of a list."""

    key: str
    """Its name in addresses and exports, the same in every language."""
    label: str | _StrPromise
    cell: Callable[[Row, Viewpoint], Cell]
    order: tuple[str, ...] = ()
    """The fields that it is sorted by, the last of them unique, each with `-` for the greatest first, all alike; none: it
    cannot be sorted by. There must be an index for them. Their values stand in addresses: no number of a row is among them."""
    numeric: bool = False
    minor: bool = False
    """Left out on a narrow screen."""
    needs: str = ""
    """The codename without which it is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraColumn:
    """One column of the host's own, on the screen, in live frames and in exports."""

    key: str
    """Its name in exports, the same in every language."""
    label: str | _StrPromise
    cell: Callable[[Any, Any], Cell]
    """What stands in it; gets the row, and what `look_up` found for it (`None` where it found nothing)."""
    look_up: Callable[[Sequence[Any]], Mapping[Any, Any]] | None = None
    """Returns by the row's primary key what the cells need, for all rows of a page together, in one query instead of fifty."""
    numeric: bool = False
    minor: bool = False
    """Left out on a narrow screen."""
    needs: str = ""
    """The codename of the dashboard without which it is absent, such as `view_amounts`."""
    for_partners: bool = False
    """Whether partners' logins see it too; what is noted of partners is for colleagues unless you say so."""

    def of(self, rows: Sequence[Any]) -> Column[Any]:
        """Return the column for these rows. `look_up`'s queries.

        Where the host's code raises, a dash stands in the cell, and the log has it once for these rows: the list is
        worth more than the column.
        """
        found = _Guarded(self, rows)
        return Column(
            key=self.key,
            label=self.label,
            cell=lambda row, _: found.cell(row),
            numeric=self.numeric,
            minor=self.minor,
            needs=self.needs,
        )


class _Guarded:
    """A host's column for some rows, whose mistakes stay in it."""

    def __init__(self, column: ExtraColumn, rows: Sequence[Any]) -> None:
        self._column = column
        self._logged = False
        self._found: Mapping[Any, Any] | None = None
        """What was looked up; nothing: that raised."""
        # All at once: on PostgreSQL a savepoint for each cell would be a hundred statements for a page.
        self._cells = self._tried(lambda: self._read(rows)) or {}

    def cell(self, row: Any) -> Cell:
        """Return the row's cell."""
        found = self._found
        if found is None:
            return FAILED
        return self._cells.get(row.pk) or self._tried(lambda: self._column.cell(row, found.get(row.pk))) or FAILED

    def _read(self, rows: Sequence[Any]) -> dict[Any, Cell]:
        look_up = self._column.look_up
        self._found = found = look_up(rows) if look_up is not None and rows else {}
        return {row.pk: self._column.cell(row, found.get(row.pk)) for row in rows}

    def _tried(self, act: Callable[[], T]) -> T | None:
        """Return what the host's code returns, nothing where it raises; that is logged once for all rows."""
        try:
            with snapshots.apart():
                return act()
        except Exception:
            if not self._logged:
                key = self._column.key
                facts = {"action": "column.failed", "column": key}
                logger.exception("The column %s of the host raised.", key, extra=facts)
            self._logged = True
            return None


def extra_columns(listing: str, *, rights: Rights) -> tuple[ExtraColumn, ...]:
    """Return the host's columns of a list that somebody with these rights may see."""
    found = tuple(import_string(path) for path in conf.settings.DASHBOARD_COLUMNS.get(listing, ()))
    return tuple(
        column
        for column in found
        if (rights.is_staff or column.for_partners) and (not column.needs or rights.may(column.needs))
    )
