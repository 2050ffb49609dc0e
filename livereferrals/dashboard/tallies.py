"""The numbers of the chosen range beside each row of a list of partners or links: one query for a page of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Model
from django.utils.translation import gettext_lazy

from livereferrals.dashboard import wording
from livereferrals.dashboard.columns import Column
from livereferrals.dashboard.statistics import Numbers
from livereferrals.dashboard.tables import Cell
from livereferrals.tracking import amounts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.sources import By
    from livereferrals.dashboard.viewpoints import Viewpoint

Row = TypeVar("Row", bound=Model)

NUMBERS = "_dashboard_numbers"
"""Under what name a row carries its numbers."""
NOTHING = Numbers(amounts={})


def complete(by: By, *, key: str) -> Callable[[Sequence[Row], Viewpoint, Moment], None]:
    """Return what gives the rows of a page their numbers; `key` is the column that `by` divides by."""

    def give(rows: Sequence[Row], _viewpoint: Viewpoint, moment: Moment) -> None:
        found = moment.figures.divided(moment.span, by=by, only=[getattr(row, key) for row in rows]) if rows else {}
        for row in rows:
            vars(row)[NUMBERS] = found.get(getattr(row, key), NOTHING)

    return give


def columns(*, key: str) -> tuple[Column[Any], ...]:
    """Return the columns of the numbers, named by the rows' `key`; the amount only for those who may see it."""
    return (
        _whole("hits", wording.HITS, key=key),
        _whole("visitors", wording.VISITORS, key=key, minor=True),
        _whole("confirmations", wording.CONFIRMATIONS, key=key),
        Column(key="rate", label=gettext_lazy("Rate"), cell=_rate, numeric=True),
        Column(key="amount", label=gettext_lazy("Amount"), cell=_amount, numeric=True, needs="view_amounts"),
    )


def _of(row: Model) -> Numbers:
    found: Numbers = vars(row)[NUMBERS]
    return found


def _whole(name: str, label: Any, *, key: str, minor: bool = False) -> Column[Any]:
    def cell(row: Model, _viewpoint: Viewpoint) -> Cell:
        value: int = getattr(_of(row), name)
        return Cell(text=wording.whole_number(value), raw=str(value), metric=f"{name}-{getattr(row, key)}")

    return Column(key=name, label=label, cell=cell, numeric=True, minor=minor)


def _rate(row: Model, _viewpoint: Viewpoint) -> Cell:
    rate = _of(row).rate
    return Cell(text=wording.per_cent(rate), raw="" if rate is None else format(rate, "f"))


def _amount(row: Model, _viewpoint: Viewpoint) -> Cell:
    """Return one sum for each currency; nothing is added up across."""
    found = _of(row).amounts.items()
    return Cell(
        text=wording.all_money(_of(row).amounts),
        raw=" ".join(
            f"{format(round(amount, amounts.currency_digits(currency)), 'f')} {currency}" for currency, amount in found
        ),
    )
