"""Delivering what is owed, now."""

from __future__ import annotations

import asyncio
import threading

from django.db import connections, router

from livereferrals.callbacks.models import Delivery
from livereferrals.callbacks.worker import Orders, Worker


def deliver_callbacks(*, timeout_s: float = 30) -> int:
    """Make all calls that are due, by the very worker that makes them in production; return how many that were.

    What fails is not tried again here: its next attempt is due later.

    Args:
        timeout_s: when to give up.

    Raises:
        RuntimeError: inside a transaction, whose rows the worker's own connection cannot see: use a
            `TransactionTestCase` or `@pytest.mark.django_db(transaction=True)`.
        TimeoutError: the worker did not come to its end in time.
    """
    if connections[router.db_for_write(Delivery)].in_atomic_block:
        raise RuntimeError(
            "The worker has a database connection of its own and sees nothing of this test's transaction: use"
            " TransactionTestCase, or @pytest.mark.django_db(transaction=True)."
        )
    worker, failures = Worker(Orders(once=True)), list[BaseException]()

    def run() -> None:
        try:
            asyncio.run(worker.run())
        except BaseException as error:  # noqa: BLE001 - raised in the test
            failures.append(error)

    # A thread of its own: the test's may be running a loop already.
    thread = threading.Thread(target=run, name="deliver-callbacks", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        worker.hurry()
        thread.join(timeout_s)
        raise TimeoutError(f"The worker has not delivered everything within {timeout_s} s.")
    if failures:
        raise failures[0]
    return worker.calls
