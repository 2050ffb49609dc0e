"""What a host project adds to the dashboard, as in its own modules."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy

from livereferrals.dashboard.columns import Cell, ExtraColumn

LOOKED_UP: list[int] = []
"""How many rows each look-up was asked for."""


def _notes(rows: Any) -> dict[Any, str]:
    LOOKED_UP.append(len(rows))
    return {row.pk: f"shelf of {row.identifier}" for row in rows}


shelf = ExtraColumn(
    key="shelf", label=gettext_lazy("Shelf"), cell=lambda _, found: Cell(text=found or "none"), look_up=_notes
)
length = ExtraColumn(
    key="length",
    label="Length",
    cell=lambda row, _: Cell(text=f"{len(row.identifier)} letters"),
    numeric=True,
    for_partners=True,
)
worth = ExtraColumn(key="worth", label="Worth", cell=lambda *_: Cell(text="a fortune"), needs="view_amounts")


def _from_nowhere(rows: Any) -> dict[Any, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM livereferrals_nowhere")
    return {}


def _of_some(row: Any, _found: Any) -> Cell:
    if row.identifier == "abc":
        raise LookupError(row.identifier)
    return Cell(text=f"fine for {row.identifier}")


unfounded = ExtraColumn(
    key="unfounded", label="Unfounded", cell=lambda *_: Cell(text="founded"), look_up=_from_nowhere, for_partners=True
)
partial = ExtraColumn(key="partial", label="Partial", cell=_of_some)
misspelt = ExtraColumn(key="shelf", label="Shelf", cell=lambda *_: Cell(), needs="view_everything")
nothing = object()
