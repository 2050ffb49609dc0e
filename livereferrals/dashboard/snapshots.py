"""Reading at one moment: several queries that see the same state of the database and stand in no writer's way."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections, router, transaction

from livereferrals.events.models import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def one_moment() -> Iterator[None]:
    """Read everything inside at one moment; write nothing inside.

    PostgreSQL: a repeatable-read transaction. SQLite: a DEFERRED one, whatever the host's `transaction_mode` is, because
    under IMMEDIATE an ordinary transaction takes the write lock and each hit waits for it. Inside a transaction of the
    caller nothing is opened, and the caller's isolation holds.
    """
    connection = connections[router.db_for_read(Event)]
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with _deferred(connection):
            yield
    else:
        with transaction.atomic(using=connection.alias, durable=True):
            _execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield


@contextmanager
def apart() -> Iterator[None]:
    """Do inside a moment what may fail, so that the moment goes on: on PostgreSQL an error ends the transaction."""
    connection = connections[router.db_for_read(Event)]
    if connection.in_atomic_block:
        with transaction.atomic(using=connection.alias):
            yield
    else:
        yield


@contextmanager
def _deferred(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Hold a read transaction by hand: `atomic()` can only begin one in the connection's own mode."""
    _execute(connection, "BEGIN DEFERRED")
    try:
        yield
    finally:
        # Nothing was written: rolling back also ends a transaction that an error has broken.
        _execute(connection, "ROLLBACK")


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
