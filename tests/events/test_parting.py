"""What a thread leaves behind in the databases: nothing."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler

from livereferrals.events import parting

IN_MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:parting?mode=memory&cache=shared"}


@pytest.mark.django_db
def test_connection_to_a_database_in_memory_is_closed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 warns of what is left open, and a host's tests may take warnings for errors."""
    monkeypatch.setattr(parting, "connections", handler := ConnectionHandler({"default": IN_MEMORY}))
    left: list[sqlite3.Connection] = []

    def work() -> None:
        handler["default"].ensure_connection()
        left.append(handler["default"].connection)
        parting.part()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        left[0].total_changes  # noqa: B018 - asks the closed one


@pytest.mark.django_db(transaction=True)
def test_connections_of_other_threads_stay_open() -> None:
    """A worker's end is its own affair."""
    connections["default"].ensure_connection()
    thread = threading.Thread(target=parting.part)
    thread.start()
    thread.join()
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
