"""Locking the one row of a table that has just one: the sequencer's and the rollups' turn-taking."""

from __future__ import annotations

from typing import TypeVar

from django.db import connections
from django.db.models import F, Model

Row = TypeVar("Row", bound=Model)

SINGLETON = 1
"""Primary key of the one row."""


def lock_singleton(model: type[Row], *, using: str) -> Row:
    """Take the table's one row for the current transaction, made anew where a flush of the tables took it away."""
    manager = model._default_manager.using(using)
    if connections[using].features.has_select_for_update:
        row = manager.select_for_update().filter(pk=SINGLETON).first()
        return row or manager.select_for_update().get_or_create(pk=SINGLETON)[0]
    # SQLite: a transaction that begins with a write waits for its turn even where the host has not set IMMEDIATE.
    manager.filter(pk=SINGLETON).update(id=F("id"))
    return manager.get_or_create(pk=SINGLETON)[0]
