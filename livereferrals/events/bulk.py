"""Many rows in one statement: their values travel as one JSON text, which the database takes apart.

    insert(DeliveryAttempt, ("delivery_id", "number", ...), rows, using=alias)
    update(Endpoint, ("gate_until", ...), rows, keys=("subscription_id", "lease_token"), using=alias)

For the paths that write hundreds of rows a second: there `bulk_create` and `bulk_update` take longer to prepare their
values and statements in Python than the database takes to write them, and hold the interpreter meanwhile. What a column
gets is what Django would have written.
"""

from __future__ import annotations

import json
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, models

from livereferrals.events.converting import converter

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper

GIVEN: Final = "given"
"""What a statement calls the rows of its text."""
KEY: Final = "key_"
"""Before the name of a column that is compared, since the same one may be written."""


class Shape:
    """Columns of a model, as a statement reads them from JSON."""

    def __init__(self, model: type[models.Model], names: Sequence[str], *, using: str) -> None:
        """Take the columns by their attributes' names; `key_` before one gives it that name in the statement."""
        connection = connections[using]
        known = {field.attname: field for field in model._meta.concrete_fields}
        fields = {name: known[name.removeprefix(KEY)] for name in names}
        self.names = tuple(names)
        self.table = connection.ops.quote_name(model._meta.db_table)
        self._converts = [(name, convert) for name in names if (convert := _convert(fields[name], connection))]
        if connection.vendor == "postgresql":
            told = ", ".join(f'"{name}" {field.db_type(connection)}' for name, field in fields.items())
            self.source = f"json_to_recordset(%s::json) AS {GIVEN}({told})"
        else:
            picked = ", ".join(f"json_extract(value, '$.{name}') AS \"{name}\"" for name in names)
            self.source = f"(SELECT {picked} FROM json_each(%s)) AS {GIVEN}"  # noqa: S608 - names of our own

    def text(self, rows: Iterable[Sequence[Any]]) -> str:
        """Return these rows, each in the order of the names, as the statement takes them."""
        every = [dict(zip(self.names, row, strict=True)) for row in rows]
        for name, convert in self._converts:
            before = converted = None
            for given in every:
                if (value := given[name]) is not None:
                    # The moment of a batch, and the lease of its rows, are the same object in each of them.
                    if value is not before:
                        before, converted = value, convert(value)
                    given[name] = converted
        # Not as ASCII: half a character is refused here, as in any other parameter, and not stored.
        return json.dumps(every, ensure_ascii=False, separators=(",", ":"))


class Reading:
    """Columns of several tables, as a statement that joins them gives them back."""

    def __init__(self, columns: Mapping[str, tuple[str, type[models.Model], str]], *, using: str) -> None:
        """Take each column by the name that its values get: its table in the statement, its model, the attribute."""
        connection = connections[using]
        self.columns = ", ".join(f'{table}."{attribute}"' for table, _, attribute in columns.values())
        self._names = tuple(columns)
        self._converts = []
        for name, (_, model, attribute) in columns.items():
            field = next(field for field in model._meta.concrete_fields if field.attname == attribute)
            if not isinstance(field, models.JSONField) and (convert := converter(field, connection)) is not None:
                self._converts.append((name, convert))

    def rows(self, found: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
        """Give the rows as Python has them; JSON stays the text that it is."""
        for row in found:
            values = dict(zip(self._names, row, strict=True))
            for name, convert in self._converts:
                if values[name] is not None:
                    values[name] = convert(values[name])
            yield values


def one_of(column: str, *, using: str) -> str:
    """Return the condition that a column holds one of many keys; `keys` makes its parameter."""
    is_postgres = connections[using].vendor == "postgresql"
    among = "= ANY(%s)" if is_postgres else "IN (SELECT value FROM json_each(%s))"
    return f"{column} {among}"


def keys(values: Iterable[int] | Iterable[uuid.UUID], *, using: str) -> list[int | uuid.UUID] | str:
    """Return many keys as the one parameter of `one_of`."""
    if connections[using].vendor == "postgresql":
        return list(values)
    return json.dumps([value if isinstance(value, int) else value.hex for value in values])


def _convert(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> Callable[[Any], Any] | None:
    """Return what makes JSON of a value of this column, if it is none by itself."""
    target: models.Field[Any, Any] = field.target_field if isinstance(field, models.ForeignKey) else field
    is_postgres = connection.vendor == "postgresql"
    if isinstance(target, models.UUIDField):
        return str if is_postgres else attrgetter("hex")
    if isinstance(target, models.DateTimeField):
        return (lambda moment: moment.isoformat()) if is_postgres else connection.ops.adapt_datetimefield_value
    if isinstance(target, models.JSONField):
        # As text where the column is text: SQLite would write an object in its own way.
        return None if is_postgres else json.dumps
    return None


@lru_cache(maxsize=128)
def shape(model: type[models.Model], names: tuple[str, ...], *, using: str) -> Shape:
    """Return these columns of the model, made once."""
    return Shape(model, names, using=using)


def insert(model: type[models.Model], names: tuple[str, ...], rows: Sequence[Sequence[Any]], *, using: str) -> None:
    """Write new rows with these columns. One insert, where there are any."""
    if not rows:
        return
    form = shape(model, names, using=using)
    columns = ", ".join(f'"{name}"' for name in names)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {form.table} ({columns}) SELECT {columns} FROM {form.source}",  # noqa: S608 - names of our own
            [form.text(rows)],
        )


def update(
    model: type[models.Model],
    names: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    *,
    keys: tuple[str, ...],
    using: str,
    among: Mapping[str, str] | None = None,
) -> None:
    """Write these columns of the rows whose `keys` are as told; each row gives first those, then what is to be written.

    `among`: what other columns must hold, or nothing is written. One update, where there is anything.
    """
    if not rows:
        return
    held = among or {}
    form = shape(model, (*(KEY + key for key in keys), *names), using=using)
    changes = ", ".join(f'"{name}" = {GIVEN}."{name}"' for name in names)
    fences = [f'{form.table}."{key}" = {GIVEN}."{KEY}{key}"' for key in keys]
    # With a plus SQLite looks for each row by its keys; without, it may read all that have such a state first.
    plus = "" if connections[using].vendor == "postgresql" else "+"
    fences += [f'{plus}{form.table}."{name}" = %s' for name in held]
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"UPDATE {form.table} SET {changes} FROM {form.source} WHERE {' AND '.join(fences)}",  # noqa: S608 - names of our own
            [form.text(rows), *held.values()],
        )
