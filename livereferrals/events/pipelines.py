"""Statements that travel together, where the driver knows how: one journey for those whose answers nobody waits for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper


def can_pipeline(connection: BaseDatabaseWrapper) -> bool:
    """Whether statements can travel together: psycopg 3 over a libpq that knows how."""
    if connection.vendor != "postgresql" or connection.Database.__name__ != "psycopg":  # type: ignore[attr-defined] # its driver
        return False
    return bool(connection.Database.Pipeline.is_supported())  # type: ignore[attr-defined]


@contextmanager
def together(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Send the statements of the block on, and wait only where rows are fetched, and at the end.

    One that fails may be told of later than it was sent, at the next of these places. What a statement has changed
    (`rowcount`) is not known inside the block. Does nothing where statements cannot travel together.
    """
    if not can_pipeline(connection):
        yield
        return
    connection.ensure_connection()
    raw: Any = connection.connection
    with connection.wrap_database_errors, raw.pipeline():
        yield
