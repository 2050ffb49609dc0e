"""Writing many rows of one model, with the times that they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import Model


def insert(rows: Sequence[Model], *, using: str) -> int:
    """Insert the rows that are not there yet, and return how many that were. One statement, run for each row.

    `bulk_create` would give fields with `auto_now_add` the time of the import, and does not say what was there.
    """
    if not rows:
        return 0
    connection = connections[using]
    options = rows[0]._meta
    fields = options.concrete_fields
    quoted = connection.ops.quote_name
    statement = (
        f"INSERT INTO {quoted(options.db_table)} ({', '.join(quoted(str(field.column)) for field in fields)}) "  # noqa: S608 - names of the model
        f"VALUES ({', '.join(['%s'] * len(fields))}) ON CONFLICT DO NOTHING"
    )
    values = [[field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
        return int(cursor.rowcount)
