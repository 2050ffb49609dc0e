"""SQLite's one write lock, asked for again and again where SQLite itself would sleep.

SQLite lets a writer that finds the lock taken sleep, longer each time and up to 100 ms, and whoever comes meanwhile passes it.
The short transactions of this package's own threads follow each commit of the host: each would sleep where a millisecond is
enough. Only for those that come now and then: who asks so often, again and again, leaves no moment to the ones who sleep.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from django.db import OperationalError, connections, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper

LOOK_S: Final = 0.001
"""Between two looks at the lock."""
EAGER_S: Final = 0.25
"""After this somebody holds it for long: SQLite may wait in its own way."""
PRIMARY: Final = 0xFF
"""The part of SQLite's error codes that says what it is; the rest says why."""


@contextlib.contextmanager
def write_transaction(using: str) -> Iterator[None]:
    """Run the block in a transaction; on SQLite one that has the write lock from its begin and was prompt to get it.

    Inside a transaction, and on other databases, it is an ordinary `atomic`.

    Raises:
        django.db.OperationalError: the lock was not free for as long as the host's `OPTIONS["timeout"]` says.
    """
    connection = connections[using]
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic(using=using):
            yield
        return
    with contextlib.ExitStack() as stack:
        _enter(connection, stack)
        yield


def _enter(connection: BaseDatabaseWrapper, stack: contextlib.ExitStack) -> None:
    """Begin a transaction on the stack, with the lock."""
    connection.ensure_connection()  # which settles the mode of its transactions
    begun = transaction.atomic(using=connection.alias)
    with _immediate(connection):
        with _impatient(connection):
            until = time.monotonic() + EAGER_S
            while time.monotonic() < until:
                try:
                    stack.enter_context(begun)
                except OperationalError as error:
                    if not _is_taken(error):
                        raise
                    # Else the cursor stays with the error in a circle of references. The collector may run in any thread:
                    # it would wait, and with it the whole interpreter, until this connection, and SQLite, are done waiting.
                    traceback.clear_frames(error.__traceback__)
                    time.sleep(LOOK_S)
                else:
                    return
        stack.enter_context(begun)


@contextlib.contextmanager
def _immediate(connection: Any) -> Iterator[None]:
    """Have a transaction take the lock when it begins, whatever the host has set: only so it can be asked for again."""
    mode = connection.transaction_mode
    connection.transaction_mode = "IMMEDIATE"
    try:
        yield
    finally:
        connection.transaction_mode = mode


@contextlib.contextmanager
def _impatient(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Have SQLite say at once that the lock is taken."""
    raw = connection.connection
    ((patience_ms,),) = raw.execute("PRAGMA busy_timeout").fetchall()
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {patience_ms}")


def _is_taken(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", 0)
    return (code & PRIMARY) == sqlite3.SQLITE_BUSY
