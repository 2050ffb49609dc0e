"""Transactions that wait for SQLite's write lock without sleeping for long."""

from __future__ import annotations

import gc
import threading
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.utils import CursorWrapper

from livereferrals.events import write_lock
from livereferrals.events.models import Chore
from livereferrals.events.write_lock import write_transaction
from tests.sessions import held_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)
on_sqlite = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own lock")


def lock_held(until: threading.Event) -> AbstractContextManager[None]:
    """Have another connection write until the event is set."""
    return held_elsewhere(lambda: Chore.objects.create(name="held"), until=until)


@contextmanager
def begins(after: int = 10**9, act: threading.Event | None = None) -> Iterator[list[str]]:
    """Collect the attempts to begin; after so many of them the event is set."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("BEGIN"):
            seen.append(sql)
            if act is not None and len(seen) == after:
                act.set()
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield seen


def patience_ms() -> int:
    """Return how long SQLite itself would wait."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        return int(cursor.fetchone()[0])


@on_sqlite
def test_lock_is_asked_for_again_and_again() -> None:
    """callback-F42: where SQLite would sleep; its own patience is as before afterwards"""
    before, enough = patience_ms(), threading.Event()
    with lock_held(enough), begins(after=5, act=enough) as seen, write_transaction("default"):
        Chore.objects.create(name="written")
    assert len(seen) >= 5
    assert set(seen) == {"BEGIN IMMEDIATE"}
    assert patience_ms() == before
    assert set(Chore.objects.values_list("name", flat=True)) == {"held", "written"}


@on_sqlite
def test_looks_at_a_taken_lock_leave_nothing_to_the_collector_of_garbage() -> None:
    """callback-F42: a cursor that it takes away in another thread stops all of them as long as this one waits"""
    enough = threading.Event()
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(found, CursorWrapper) for found in gc.get_objects())
        with lock_held(enough), begins(after=5, act=enough), write_transaction("default"):
            pass
        assert sum(isinstance(found, CursorWrapper) for found in gc.get_objects()) == before
    finally:
        gc.enable()


@on_sqlite
def test_lock_that_is_held_for_long_is_waited_for_as_the_host_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """callback-F42: then SQLite waits, and says that it is locked at its time; nothing is half begun"""
    before, never = patience_ms(), threading.Event()
    monkeypatch.setattr(write_lock, "EAGER_S", 0.02)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    try:
        with lock_held(never), pytest.raises(OperationalError, match="locked"), write_transaction("default"):
            pytest.fail("It has no lock.")
        assert not connection.in_atomic_block
        assert connection.get_autocommit()
        assert patience_ms() == 50
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {before}")
    with write_transaction("default"):
        Chore.objects.create(name="written")


@on_sqlite
@pytest.mark.parametrize("mode", [None, "EXCLUSIVE"])
def test_lock_is_there_from_the_begin_whatever_the_host_has_set(
    mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L-11, callback-F42: for the first statement of a thread too"""
    wrapper: Any = connections["default"]
    wrapper.close()
    with begins() as seen, write_transaction("default"):
        pass
    monkeypatch.setattr(wrapper, "transaction_mode", mode)
    with begins() as again, write_transaction("default"):
        pass
    assert seen + again == ["BEGIN IMMEDIATE"] * 2
    assert wrapper.transaction_mode == mode


def test_inside_a_transaction_it_is_a_savepoint() -> None:
    """callback-F42: what fails in it takes back no more than itself"""
    with transaction.atomic():
        Chore.objects.create(name="outer")
        with write_transaction("default"):
            Chore.objects.create(name="inner")
            transaction.set_rollback(True)
    assert [chore.name for chore in Chore.objects.all()] == ["outer"]
