"""Sessions of the database that a test has ended, in the hands of threads that outlive it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asgiref.sync import SyncToAsync
from django.db import connection, connections, transaction

from tests.waiting import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def held_elsewhere(take: Callable[[], object], *, until: threading.Event) -> Iterator[None]:
    """Have a transaction of another connection hold what `take` locks, until the event or the end of the block."""
    held = threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                take()
                held.set()
                assert until.wait(DEADLINE_S)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(DEADLINE_S)
    try:
        yield
    finally:
        until.set()
        thread.join()


def close_cut_sessions() -> None:
    """Close what asgiref's thread holds, which asynchronous tests of this process share: it would not notice by itself."""
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
