"""Parting from the databases at the end of a thread."""

from __future__ import annotations

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def part() -> None:
    """Close every connection of this thread, which is about to end.

    To an SQLite database in memory too, as in a host's tests: Django leaves those open, because the database goes with its
    last connection, and Python 3.13 warns of what nobody has closed.
    """
    for connection in connections.all(initialized_only=True):
        connection.close()
        if connection.connection is not None:
            BaseDatabaseWrapper.close(connection)
