"""Queries of Django's that are compiled once: for those that are asked many times a second and differ in a few values.

    statement = Compiled(due(mark), using=alias, now=adapted(mark, using=alias))
    cursor.execute(statement.sql, statement.parameters(now=adapted(timezone.now(), using=alias)))

Putting a large query together takes Django longer than the database takes to answer it, and holds the interpreter meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

if TYPE_CHECKING:
    from django.db.models import QuerySet


class Compiled:
    """The SQL of a query, and which of its parameters are given at each asking."""

    def __init__(self, query: QuerySet[Any, Any], *, using: str, **marks: Any) -> None:
        """Compile the query; where it holds one of the `marks`, as the database is given it, goes the value of that name.

        Raises:
            ValueError: the query holds no such mark: a value would never reach it.
        """
        compiler = query.query.get_compiler(using)
        sql, parameters = compiler.as_sql()
        self.sql: str = sql
        names: dict[Any, str] = {mark: name for name, mark in marks.items()}
        self._parameters = [(names.get(value), value) for value in parameters]
        if missing := marks.keys() - {name for name, _ in self._parameters}:
            raise ValueError(f"The query holds no mark of {', '.join(sorted(missing))}.")
        self.columns = [alias or column.target.attname for column, _, alias in compiler.select]
        """What each column of its answer is called: an annotation's name, or an attribute's."""

    def parameters(self, **values: Any) -> list[Any]:
        """Return the parameters with these values in place of the marks."""
        return [value if name is None else values[name] for name, value in self._parameters]


def adapted(moment: Any, *, using: str) -> Any:
    """Return a time as this database is given it."""
    return connections[using].ops.adapt_datetimefield_value(moment)
