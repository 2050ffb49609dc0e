"""Numbered events as plain values, for who hands on hundreds a second: a model's machinery costs more than the query."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connections

from livereferrals.events.converting import converter
from livereferrals.events.models import Event

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime


class Logged(NamedTuple):
    """What an `Event` holds of use to its readers, by the same names."""

    seq: int
    id: uuid.UUID
    type: str
    occurred_at: datetime
    partner: str
    link: uuid.UUID | None
    link_identifier: str
    user: str
    data: dict[str, Any]


def column_list(*, using: str) -> str:
    """Return the columns, for a statement of SQL."""
    connection = connections[using]
    table = connection.ops.quote_name(Event._meta.db_table)
    return ", ".join(f"{table}.{connection.ops.quote_name(name)}" for name in Logged._fields)


def logged(rows: Iterable[Sequence[Any]], *, using: str) -> list[Logged]:
    """Return the events of these rows, whose values are as the database gave them, in the order of their numbers."""
    converters = _converters(using)
    found = []
    for row in rows:
        values = list(row)
        for place, convert in converters:
            values[place] = convert(values[place])
        found.append(Logged._make(values))
    found.sort(key=lambda event: event.seq)
    return found


@lru_cache(maxsize=8)
def _converters(using: str) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return what Django makes of the values of each column, where it makes something of them."""
    fields = [Event._meta.get_field(name) for name in Logged._fields]
    found = [(place, converter(field, connections[using])) for place, field in enumerate(fields)]  # type: ignore[arg-type] # all are columns
    return [(place, convert) for place, convert in found if convert is not None]
