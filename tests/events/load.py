"""Many writers at once: threads with their own connections."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

TIMEOUT_S = 240


def in_threads(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Run the acts at the same time, each in a thread, and return what they return; their errors are raised."""
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        try:
            together.wait(TIMEOUT_S)
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        running = [pool.submit(run, act) for act in acts]
        return [future.result(TIMEOUT_S) for future in running]
