from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.db import DatabaseError, InternalError, connection, transaction

from livereferrals.dashboard.snapshots import one_moment
from livereferrals.events.models import Event
from tests.dashboard import makers
from tests.factories import make_link

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(act: Callable[[], object]) -> float:
    """Do something on another connection and return how long it took."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    began = time.monotonic()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return time.monotonic() - began


def test_reading_sees_one_state_and_holds_no_writer_up():
    """dashboard.md 3: under `transaction_mode=IMMEDIATE` a plain `atomic()` would make every hit wait"""
    link = make_link()
    makers.hit(link)
    with one_moment():
        assert Event.objects.count() == 1
        # SQLite's own time limit for a lock is 20 s here.
        assert in_thread(lambda: makers.hit(link)) < 15
        assert Event.objects.count() == 1
    assert Event.objects.count() == 2


def test_error_inside_leaves_the_connection_usable():
    """dashboard.md 3"""
    with pytest.raises(DatabaseError), one_moment():
        Event.objects.raw("SELECT nonsense FROM nowhere")[0]
    with transaction.atomic():
        makers.hit()
    assert Event.objects.count() == 1


def test_inside_a_transaction_of_the_caller_nothing_is_opened():
    """dashboard.md 3: a host's ATOMIC_REQUESTS cannot be nested into"""
    with transaction.atomic():
        makers.hit()
        with one_moment():
            assert Event.objects.count() == 1
        assert connection.in_atomic_block


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_postgresql_refuses_writes_inside():
    """dashboard.md 3"""
    with pytest.raises(InternalError, match="read-only"), one_moment():
        Event.objects.update(seq=None)
