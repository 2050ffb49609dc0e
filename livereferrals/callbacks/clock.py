"""The time that all workers agree on: PostgreSQL's own clock, on SQLite the machine's (callbacks, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import Model, QuerySet

    Row = TypeVar("Row", bound=Model)

COLUMN = "database_time"


def now(alias: str) -> datetime:
    """Return the time of this statement. One query on PostgreSQL, none on SQLite."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def with_database_time(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Have each row carry the time of its query, where the database's clock is the one that counts."""
    if connections[rows.db].vendor != "postgresql":
        return rows
    stamped: QuerySet[Row] = rows.annotate(**{COLUMN: Now()})
    return stamped


def time_of(row: Any) -> datetime:
    """Return the time that `with_database_time` gave the row."""
    found: datetime | None = getattr(row, COLUMN, None)
    return found or timezone.now()
