"""The publisher: numbers and hints after the commit, in a thread of its own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from livereferrals.events import hints, log, sequencer
from livereferrals.events.models import Event
from livereferrals.events.publisher import FLOOD, publisher
from tests.factories import make_entry
from tests.servers import ROOT, server_environment
from tests.waiting import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hinted() -> Iterator[threading.Event]:
    """Set when a reader of this process has been woken."""
    woken = threading.Event()
    hints.add_listener(woken.set)
    yield woken
    hints.remove_listener(woken.set)


def numbered(count: int) -> bool:
    return Event.objects.filter(seq__isnull=False).count() == count


@pytest.mark.publisher_thread
def test_events_are_numbered_soon_after_the_commit_and_not_before(hinted: threading.Event) -> None:
    """feed-18 Inside the transaction nothing happens; after it another thread numbers and wakes the readers."""
    with transaction.atomic():
        log.append(make_entry())
        assert not hinted.wait(0.1)
    assert hinted.wait(DEADLINE_S)
    assert numbered(1)


@pytest.mark.publisher_thread
def test_a_rolled_back_transaction_wakes_nobody(hinted: threading.Event) -> None:
    """feed-20 A transaction that is rolled back leaves no event, no number and no hint."""
    with transaction.atomic():
        log.append(make_entry())
        transaction.set_rollback(True)
    assert not hinted.wait(0.2)
    assert not Event.objects.exists()


def test_one_transaction_wakes_the_readers_once() -> None:
    """feed-19 Many events of one transaction are one numbering and one hint."""
    calls: list[int] = []

    def listener() -> None:
        calls.append(log.bounds().head)

    hints.add_listener(listener)
    try:
        with transaction.atomic():
            for _ in range(5):
                log.append(make_entry())
    finally:
        hints.remove_listener(listener)
    assert calls == [5]


def test_inline_numbering_is_done_when_the_commit_returns() -> None:
    """feed-18 For tests of host projects: no thread, no waiting."""
    assert publisher.inline
    log.append(make_entry())
    assert numbered(1)


@pytest.mark.publisher_thread
def test_the_thread_gives_its_connection_back_when_it_is_quiet(hinted: threading.Event) -> None:
    """feed-18 An idle process holds no connection for the numbering, and numbers again afterwards."""
    before = other_sessions() if connection.vendor == "postgresql" else set()
    log.append(make_entry())
    assert hinted.wait(DEADLINE_S)
    if connection.vendor == "postgresql":
        wait_until(lambda: other_sessions() <= before, what="The end of the connection")
    log.append(make_entry())
    wait_until(lambda: numbered(2), what="The second number")


def other_sessions() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return {int(pid) for (pid,) in cursor.fetchall()}


@pytest.mark.publisher_thread
def test_a_flood_is_numbered_in_few_batches_and_a_lone_event_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-18 What follows on a large batch gathers until its readers may have their next frame."""
    right, batches = sequencer.number_events, []

    def note(**options: bool) -> int:
        batches.append(right(**options))
        return batches[-1]

    monkeypatch.setattr(sequencer, "number_events", note)
    monkeypatch.setattr("livereferrals.events.publisher.FLOOD_APART_S", 3.0)
    log.append(make_entry())
    wait_until(lambda: numbered(1), what="The number of a lone event")
    log.append_all([make_entry() for _ in range(FLOOD)])
    wait_until(lambda: numbered(1 + FLOOD), what="The numbers of the flood's first")
    for _ in range(5):
        log.append(make_entry())
        time.sleep(0.05)  # long enough to be numbered alone, outside of a flood
    wait_until(lambda: numbered(6 + FLOOD), what="The numbers of the rest")
    assert [number for number in batches if number] == [1, FLOOD, 5]


@pytest.mark.publisher_thread
def test_the_thread_outlives_a_lost_connection(caplog: pytest.LogCaptureFixture) -> None:
    """feed-50 When the database ends its connection it takes a new one, and says so once."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connection to lose")
    sessions: list[int] = []

    def note() -> None:  # it is the publisher's thread that calls
        sessions.append(connection.connection.info.backend_pid)

    hints.add_listener(note)
    try:
        log.append(make_entry())
        wait_until(lambda: sessions, what="A number")
    finally:
        hints.remove_listener(note)
    with connection.cursor() as cursor:
        # Only this one: other threads of the process, and so later tests, have sessions too.
        cursor.execute("SELECT pg_terminate_backend(%s)", [sessions[0]])
    with caplog.at_level(logging.WARNING, "livereferrals.events.publisher"):
        log.append(make_entry())
        wait_until(lambda: numbered(2), what="The second number")


@pytest.mark.publisher_thread
def test_the_thread_outlives_whatever_goes_wrong_in_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """feed-18 It is the only one of its kind: it says so with the traceback, and tries again by itself."""
    right, failures = sequencer.number_events, [RuntimeError("broken")]

    def fail_once(**options: bool) -> int:
        if failures:
            raise failures.pop()
        return right(**options)

    monkeypatch.setattr(sequencer, "number_events", fail_once)
    log.append(make_entry())
    wait_until(lambda: numbered(1), what="The number")
    wait_until(lambda: publisher.is_quiet, what="The end of the work")
    assert "RuntimeError: broken" in caplog.text


@pytest.mark.publisher_thread
def test_workers_are_woken_when_the_event_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, they could not send; after a numbering that failed they are woken by the next one."""
    right, failures = sequencer.number_events, [RuntimeError("broken")]

    def fail_once(**options: bool) -> int:
        if failures:
            raise failures.pop()
        return right(**options)

    woken: list[bool] = []

    def note() -> None:  # it is the publisher's thread that calls
        woken.append(numbered(1))

    monkeypatch.setattr(sequencer, "number_events", fail_once)
    hints.add_listener(note, about=hints.DELIVERIES)
    try:
        log.append(make_entry())
        publisher.wake(about=hints.DELIVERIES)
        wait_until(lambda: woken, what="A hint")
    finally:
        hints.remove_listener(note, about=hints.DELIVERIES)
    assert all(woken)


@pytest.mark.publisher_thread
def test_events_that_have_their_numbers_are_told_of_and_not_counted_again(
    hinted: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """feed-18 Readers are woken; the database is not asked, unless something else waits for its number."""
    asked: list[bool] = []
    right = sequencer.number_events

    def note(*, is_expected: bool = False) -> int:
        asked.append(is_expected)
        return right(is_expected=is_expected)

    monkeypatch.setattr(sequencer, "number_events", note)
    publisher.tell(3)
    assert hinted.wait(DEADLINE_S)
    wait_until(lambda: publisher.is_quiet, what="The end of the work")
    assert asked == []
    publisher.tell(3)
    log.append(make_entry())
    wait_until(lambda: numbered(1), what="The number")
    assert set(asked) == {True}


@pytest.mark.publisher_thread
def test_a_listener_that_fails_neither_stops_the_others_nor_the_thread(
    hinted: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """feed-18 One broken reader costs itself its wake-up; it is logged, and the next commit is numbered."""

    def broken() -> None:
        raise ZeroDivisionError

    hints.add_listener(broken)
    try:
        log.append(make_entry())
        assert hinted.wait(DEADLINE_S)
        log.append(make_entry())
        wait_until(lambda: numbered(2), what="The second number")
    finally:
        hints.remove_listener(broken)
    assert "ZeroDivisionError" in caplog.text


FORK = """
import json, os, sys
import django
django.setup()
from django.db import connections
from django.utils import timezone
from livereferrals.events import hints, log, sequencer
from livereferrals.events.models import Event
from livereferrals.events.publisher import FLOOD, publisher
from tests.waiting import DEADLINE_S, wait_until

def append():
    log.append(log.Entry(type="hit", occurred_at=timezone.now(), data={}))
    wait_until(lambda: not Event.objects.filter(seq__isnull=True).exists(), what="A number")
    # A child that is forked while a thread works in SQLite finds locks that nobody gives back.
    wait_until(lambda: publisher.is_quiet, what="A publisher that has done its work")
    connections.close_all()

append()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        append()
        os.write(writer, hints.process_name().encode())
    finally:
        os._exit(0)
os.waitpid(child, 0)
os.close(writer)
append()
print(json.dumps({"parent": hints.process_name(), "child": os.read(reader, 100).decode()}))
"""


def test_a_forked_child_numbers_by_itself_and_has_a_name_of_its_own() -> None:
    """feed-25 A pre-forking server has a publisher in each child, and no child takes another's hint for its own."""
    environment = server_environment()
    command = [sys.executable, "-c", FORK]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)
    assert names["child"]
    assert names["parent"] != names["child"]
    assert numbered(3)
