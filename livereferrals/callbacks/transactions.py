"""Short transactions of the worker, READ COMMITTED whatever the host project runs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from django.db import connections, router

from livereferrals.callbacks.models import Delivery
from livereferrals.events.pipelines import together
from livereferrals.events.write_lock import write_transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def alias() -> str:
    """Return the database that the worker writes to."""
    return router.db_for_write(Delivery)


@contextmanager
def short_transaction(using: str, *, travels_together: bool = False) -> Iterator[Callable[[], None]]:
    """Run the block in a transaction that sees what others have committed meanwhile.

    Args:
        using: the database.
        travels_together: the statements of the block travel together, and with its begin (see `events.pipelines`), until
            it calls what it is given.

    Under REPEATABLE READ a lease would be taken from a snapshot older than the row lock (measured: serialisation
    failures). SQLite has one writer at a time, and needs only to wait for its turn.
    """
    connection = connections[using]
    outermost = not connection.in_atomic_block
    with write_transaction(using), ExitStack() as whole, ExitStack() as begin:
        (whole if travels_together else begin).enter_context(together(connection))
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        begin.close()
        yield whole.close
