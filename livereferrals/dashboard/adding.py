"""Sums over rows of one table of totals, or of two that share a long span between them; always one query."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.exceptions import EmptyResultSet
from django.db import connections

from livereferrals.events.converting import converter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet


def sums(parts: Sequence[QuerySet[Any]], names: Sequence[str], columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the names and the sums of the columns, a row for each combination of the names that occurs."""
    return _fetched(parts, names, columns, end="")


def first(parts: Sequence[QuerySet[Any]], name: str, columns: Sequence[str], *, count: int) -> list[Any]:
    """Return the names with the largest sums of the columns, the first of which weighs most."""
    weights = ", ".join(f"{number} DESC" for number in range(2, len(columns) + 2))
    return [row[0] for row in _fetched(parts, [name], columns, end=f" ORDER BY {weights}, 1 LIMIT {int(count)}")]


def _fetched(
    parts: Sequence[QuerySet[Any]], names: Sequence[str], columns: Sequence[str], *, end: str
) -> list[tuple[Any, ...]]:
    """Run what Django's ORM has no words for, a sum over a union, and for one part what it takes most of the time for.

    Sums of whole numbers are cast back to such, of which PostgreSQL's own are not: `numeric` becomes a decimal for each.
    """
    connection = connections[parts[0].db]
    made = []
    for part in parts:
        # Django knows of some conditions that no row meets them, as of one of no partners, and makes no statement then.
        with suppress(EmptyResultSet):
            made.append(part.order_by().values_list(*names, *columns).query.get_compiler(parts[0].db).as_sql())
    if not made:
        return []
    union = " UNION ALL ".join(sql for sql, _ in made)
    groups = ", ".join(map(connection.ops.quote_name, names))
    summed = ", ".join(f"CAST(SUM({connection.ops.quote_name(column)}) AS bigint)" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {groups}, {summed} FROM ({union}) AS parts GROUP BY {groups}{end}",  # noqa: S608 - Django's own SQL, names of columns
            [value for _, given in made for value in given],
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    model = parts[0].model
    converters = [converter(model._meta.get_field(name), connection) for name in names]
    if not any(converters):
        return rows
    return [
        (
            *(value if make is None else make(value) for make, value in zip(converters, row, strict=False)),
            *row[len(names) :],
        )
        for row in rows
    ]
