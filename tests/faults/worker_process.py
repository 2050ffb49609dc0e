"""A worker in a process of its own that ends with `kill -9` at a given place: `python -m ... <place>`.

Places are the worker's checkpoints (`leased`, `started`, `answered`), `leasing` (inside the lease's transaction, before
its commit) and `never`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import django


def die() -> None:
    """End this process as the kernel does it: nothing gets to clean up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_lease(connection: Any, **kwargs: Any) -> None:
    """Have the connection end the process once the lease is written and not committed."""

    def execute(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        result = go_on(sql, parameters, many, context)
        if sql.startswith("UPDATE") and "leased_by" in sql:
            die()
        return result

    connection.execute_wrappers.append(execute)


def main(place: str) -> None:
    django.setup()
    from django.db.backends.signals import connection_created

    from livereferrals.callbacks.worker import Worker

    worker = Worker()
    if place == "leasing":
        connection_created.connect(die_in_lease)
    worker.checkpoint = lambda stage: die() if stage == place else None
    asyncio.run(worker.run())


if __name__ == "__main__":
    main(sys.argv[1])
