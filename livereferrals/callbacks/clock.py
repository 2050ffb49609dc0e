"""The time that all workers agree on: PostgreSQL's own clock, on SQLite the machine's (callbacks, section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models.functions import Now
from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime


def now(alias: str) -> datetime:
    """Return the time of this statement. One query on PostgreSQL, none on SQLite."""
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def moment(alias: str) -> Any:
    """Return what stands for the time of the statement that writes it. No query."""
    return Now() if connections[alias].vendor == "postgresql" else timezone.now()
