"""Databases that go away, are locked, full or read-only, processes that are stopped, and clocks that jump."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from livereferrals.callbacks import clock, turns
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint
from livereferrals.callbacks.owning import Known
from tests.callbacks import turning
from tests.callbacks.faulting import worker_connection
from tests.callbacks.running import owe, reload, running_worker, subscribe, wait_for_state
from tests.faults.killing import check_books
from tests.partner import Answer
from tests.sessions import close_cut_sessions
from tests.waiting import wait_until

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tests.faults.killing import Nursery
    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)

on_postgres = pytest.mark.skipif("'postgres' not in __import__('os').environ.get('TEST_DATABASE_URL', '')")
on_sqlite = pytest.mark.skipif("'postgres' in __import__('os').environ.get('TEST_DATABASE_URL', '')")


def all_delivered() -> bool:
    return not Delivery.objects.exclude(state="delivered").exists()


def test_stopped_worker_that_goes_on_is_fenced(sink: PartnerSink, dying: Nursery) -> None:
    """callback-F34: its late result is kept as `late` and changes nothing; the final state is right."""
    sink.default = Answer(status=500, delay_s=1.0)
    delivery = owe(subscribe(sink.url(), timeout_s=30))
    process = dying.start()
    sink.wait_for(1)
    os.kill(process, signal.SIGSTOP)
    # As if it had been stopped for longer than a lease.
    Endpoint.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sink.default = Answer()
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
    os.kill(process, signal.SIGCONT)
    wait_until(lambda: reload(delivery).attempt_log.filter(late=True).exists())
    dying.kill()
    done = reload(delivery)
    assert (done.state, done.attempts, done.lost, len(sink.calls)) == ("delivered", 2, 1, 2)
    assert [(row.outcome, row.late) for row in done.attempt_log.all()] == [("server_error", True), ("ok", False)]
    assert Endpoint.objects.get().consecutive_failures == 0


@on_postgres
def test_connections_that_are_cut_again_and_again_cost_nothing(sink: PartnerSink) -> None:
    """callback-F41: between lease and result as well; results in hand are written, all is delivered, once."""
    for path in range(5):
        subscription = subscribe(sink.url(f"/{path}"), max_in_flight=2)
        for _ in range(12):
            owe(subscription)
    sink.default = Answer(delay_s=0.05)
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with running_worker():
        for calls in (5, 20, 40):
            sink.wait_for(calls)
            with connection.cursor() as cursor:
                cursor.execute(cut)
            close_cut_sessions()
        wait_until(all_delivered)
    check_books(sink)
    assert len(sink.calls) == 60


@on_postgres
def test_row_that_an_open_transaction_holds_delays_its_own_endpoint_only(sink: PartnerSink) -> None:
    """callback-F42: an admin's open transaction on one endpoint; the others go on, and it gets its own later."""
    held, free = subscribe(sink.url("/held")), subscribe(sink.url("/free"))
    waiting = owe(held)
    with running_worker():
        with transaction.atomic():
            Endpoint.objects.select_for_update().get(pk=held.pk)
            with transaction.atomic():
                pass
            others = threading.Thread(target=_owe_elsewhere, args=(free,))
            others.start()
            others.join()
            wait_until(lambda: [call.path for call in sink.calls].count("/free") == 3)
            assert [call.path for call in sink.calls].count("/held") == 0
        wait_for_state(waiting, DeliveryState.DELIVERED)
        wait_until(all_delivered)


def _owe_elsewhere(subscription: Any) -> None:
    for _ in range(3):
        owe(subscription)
    connection.close()


@on_sqlite
def test_locked_sqlite_is_waited_for(sink: PartnerSink) -> None:
    """callback-F42: a writer that holds the database for longer than the time limit; nothing is lost or repeated."""
    deliveries = [owe(subscribe(sink.url(f"/{path}"))) for path in range(3)]
    sink.default = Answer(delay_s=0.3)

    def hurry(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        context["connection"].connection.execute("PRAGMA busy_timeout = 200")
        return go_on(sql, parameters, many, context)

    with worker_connection(hurry), running_worker():
        sink.wait_for(3)
        with transaction.atomic():
            Endpoint.objects.update(state_reason="held")
            released = threading.Event()
            threading.Timer(1.5, released.set).start()
            released.wait(10)
            assert {reload(delivery).state for delivery in deliveries} == {"sending"}
        wait_until(all_delivered)
    check_books(sink)


@on_sqlite
def test_full_disk_is_waited_for(sink: PartnerSink) -> None:
    """callback-F43: results are held until there is room again; nothing is lost or repeated."""
    deliveries = [owe(subscribe(sink.url(f"/{path}"))) for path in range(3)]
    full = threading.Event()

    def limit(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        raw = context["connection"].connection
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count = {pages if full.is_set() else 1_000_000_000}")
        return go_on(sql, parameters, many, context)

    sink.default = Answer(delay_s=0.3, body=b"x" * 4000)
    with worker_connection(limit), running_worker():
        sink.wait_for(3)
        full.set()
        wait_until(lambda: len(sink.calls) == 3)
        threading.Event().wait(1.0)
        full.clear()
        wait_until(all_delivered)
    check_books(sink)
    assert {reload(delivery).lost for delivery in deliveries} == {0}


def test_read_only_database_makes_no_requests(sink: PartnerSink, caplog: pytest.LogCaptureFixture) -> None:
    """callback-F45: after a failover nothing is sent until what is sent can be written."""
    read_only = threading.Event()
    read_only.set()

    def refuse(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        if connection.vendor == "postgresql" and read_only.is_set() and sql.startswith("SET TRANSACTION"):
            sql = f"{sql}, READ ONLY"
        if connection.vendor == "sqlite":
            context["connection"].connection.execute(f"PRAGMA query_only = {int(read_only.is_set())}")
        return go_on(sql, parameters, many, context)

    with worker_connection(refuse), running_worker():
        delivery = owe(subscribe(sink.url()))
        wait_until(lambda: "round failed" in caplog.text)
        assert (reload(delivery).attempts, sink.calls) == (0, [])
        read_only.clear()
        wait_for_state(delivery, DeliveryState.DELIVERED)
    assert len(sink.calls) == 1


@pytest.fixture
def lookers() -> set[int]:
    """The workers' threads that have looked at the common clock."""
    return set()


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch, lookers: set[int]) -> list[timedelta]:
    """By how much the common clock is wrong; tests change the one entry."""
    by, real_now, real_lock = [timedelta(0)], clock.now, Known.lock

    def now(alias: str) -> datetime:
        # Not those beside them, which look for what staff should know of.
        if threading.current_thread().name == "livereferrals-callbacks-database":
            lookers.add(threading.get_ident())
        return real_now(alias) + by[0]

    def lock(self: Known, tokens: Mapping[int, uuid.UUID]) -> tuple[dict[int, Endpoint], datetime]:
        owned, at = real_lock(self, tokens)
        return owned, at + by[0]

    monkeypatch.setattr(clock, "now", now)
    monkeypatch.setattr(Known, "lock", lock)
    return by


@contextlib.contextmanager
def other_worker() -> Iterator[None]:
    with running_worker():
        yield


@pytest.mark.parametrize("hours", [2, -2])
def test_jump_of_the_clock_sends_nothing_twice(
    sink: PartnerSink, shift: list[timedelta], lookers: set[int], hours: int, caplog: pytest.LogCaptureFixture
) -> None:
    """callback-F44: two workers, requests under way: their leases are honoured, though they look over or nonsense."""
    sink.default = Answer(delay_s=2.0)
    subscription = subscribe(sink.url(), max_in_flight=4)
    with running_worker(), other_worker():
        # Who has not seen the time before a jump cannot notice it.
        wait_until(lambda: len(lookers) == 2)
        for _ in range(4):
            owe(subscription)
        sink.wait_for(4)
        shift[0] = timedelta(hours=hours)
        wait_until(lambda: "clock has jumped" in caplog.text)
        wait_until(all_delivered)
        assert len(sink.calls) == 4
        shift[0] = timedelta(0)
        late = owe(subscription)
        wait_for_state(late, DeliveryState.DELIVERED)
    check_books(sink)
    assert set(Delivery.objects.values_list("lost", flat=True)) == {0}


def test_lease_that_a_step_back_has_made_endless_is_kept_by_its_worker(sink: PartnerSink) -> None:
    """callback-F44: renewed by the new time, before others trust that again and take it for nonsense"""
    owe(subscribe(sink.url()))
    (held,) = turning.lease()
    Endpoint.objects.update(lease_until=timezone.now() + timedelta(hours=2))
    turns.turn(turns.Wish(tokens={held.endpoint: held.token}, keeps=[held.endpoint]))
    assert turning.lease("third-host:1:1") == []
    assert Endpoint.objects.get().lease_token == held.token


def test_clock_is_trusted_again_after_the_length_of_a_lease() -> None:
    """callback-F44: a slow clock, or a pause of the process, is no jump."""
    watch, now = clock.Watch(), timezone.now()
    steps = [(0, 0), (10, 10), (100, 100), (7300, 101), (7359, 160), (7361, 162), (0, 163), (61, 224)]
    found = [watch.is_steady(now + timedelta(seconds=common), monotonic=own) for common, own in steps]
    assert found == [True, True, True, False, False, True, False, True]


def test_worker_needs_no_session_of_the_database(sink: PartnerSink) -> None:
    """callback-F41: so that a pooler may give each transaction to another connection of its own."""
    statements: list[str] = []

    def note(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        statements.append(sql.upper())
        return go_on(sql, parameters, many, context)

    delivery = owe(subscribe(sink.url()))
    with worker_connection(note), running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
    session = ("LISTEN", "ADVISORY", "PREPARE", "DECLARE", "CREATE TEMP", "SET SESSION")
    assert statements
    assert not [sql for sql in statements if any(word in sql for word in session)]
    # What is set until the transaction's end is gone with it.
    assert not [sql for sql in statements if re.search(r"SET_CONFIG\([^)]*FALSE", sql)]
    assert {sql for sql in statements if sql.startswith("SET ")} <= {"SET TRANSACTION ISOLATION LEVEL READ COMMITTED"}
