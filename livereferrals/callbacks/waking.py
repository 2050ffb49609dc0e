"""Waking the workers when there is something to send: of this process at once, of others over the channel layer."""

from __future__ import annotations

from django.db import router, transaction

from livereferrals.callbacks.models import Delivery
from livereferrals.events import hints
from livereferrals.events.publisher import publisher


def wake_workers() -> None:
    """Have the workers look for work once the current transaction, if there is one, has committed."""
    transaction.on_commit(_wake, using=router.db_for_write(Delivery), robust=True)


def _wake() -> None:
    # A named function: Django logs `func.__qualname__` of a failing one.
    publisher.wake(about=hints.DELIVERIES)
