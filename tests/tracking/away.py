"""A table that is away for a while, as after a failed migration: what reads or writes it fails."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model


@contextlib.contextmanager
def away(model: type[Model]) -> Iterator[None]:
    """Take a model's table away for the block; outside of a transaction."""
    table = model._meta.db_table
    _rename(model, table, f"{table}_away")
    try:
        yield
    finally:
        _rename(model, f"{table}_away", table)


def _rename(model: type[Model], old: str, new: str) -> None:
    with connection.schema_editor() as editor:
        editor.alter_db_table(model, old, new)
