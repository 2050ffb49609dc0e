"""Values of the database as Python has them, for who reads rows without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Field


def converter(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> Callable[[Any], Any] | None:
    """Return what makes Python's value of what this connection reads from the column; `None` where it is one already.

    The field's own conversion is in it too: a host may have put encryption into one. What is kept keeps the connection
    alive, and may serve other threads: conversions look at its settings and send nothing over it.
    """
    column = field.get_col(field.model._meta.db_table)
    steps = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
    if not steps:
        return None

    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return convert
