"""Short transactions of the worker, READ COMMITTED whatever the host project runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import connections, router, transaction

from livereferrals.callbacks.models import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator


def alias() -> str:
    """Return the database that the worker writes to."""
    return router.db_for_write(Delivery)


@contextmanager
def short_transaction(using: str) -> Iterator[None]:
    """Run the block in a transaction that sees what others have committed meanwhile.

    Under REPEATABLE READ a lease would be taken from a snapshot older than the row lock (measured: serialisation
    failures). SQLite has one writer at a time and needs nothing.
    """
    connection = connections[using]
    outermost = not connection.in_atomic_block
    with transaction.atomic(using=using):
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield
