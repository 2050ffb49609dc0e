"""Reaching the database connection of a worker that runs in a thread of this process."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from django.db.backends.signals import connection_created

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def worker_connection(execute: Callable[..., Any]) -> Iterator[None]:
    """Have every statement of the worker's connection pass through this execute wrapper."""

    def reach(connection: Any, **kwargs: Any) -> None:
        if threading.current_thread().name == "livereferrals-callbacks-database":
            connection.execute_wrappers.append(execute)

    connection_created.connect(reach)
    try:
        yield
    finally:
        connection_created.disconnect(reach)
