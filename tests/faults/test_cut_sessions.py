"""Sessions that PostgreSQL ends, as when it restarts: the threads beside the requests begin new ones by themselves.

The threads of hits, events, the feed and the dashboard have such tests beside their others.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.utils import timezone

from livereferrals import housekeeping
from livereferrals.callbacks import watching
from livereferrals.callbacks.models import Delivery, Endpoint, EndpointAlert
from livereferrals.dashboard import rollups
from livereferrals.events.models import EventLog
from livereferrals.housekeeping import keeper
from livereferrals.tracking.link_cache import LinkCache
from livereferrals.triggers import firings
from livereferrals.triggers.firings import Recorder
from livereferrals.triggers.models import TriggerFiring
from tests.callbacks.running import owe, running_worker, subscribe
from tests.factories import make_delivery, make_event, make_link
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tests.servers import PartnerSink

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no sessions"),
]


@contextlib.contextmanager
def sessions_of(thread: str) -> Iterator[list[int]]:
    """Note the sessions that the thread of this name opens."""
    pids: list[int] = []

    def note(connection: Any, **_facts: Any) -> None:
        if threading.current_thread().name == thread:
            pids.append(connection.connection.info.backend_pid)

    connection_created.connect(note)
    try:
        yield pids
    finally:
        connection_created.disconnect(note)


def works_on_after_a_cut(thread: str, begin: Callable[[], object], is_done: Callable[[], bool]) -> None:
    """Have the thread do something, end its session, and have it do something again."""
    with sessions_of(thread) as sessions:
        for _ in range(2):
            begin()
            wait_until(is_done, what=f"Work of {thread}")
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [sessions])
        begin()
        wait_until(is_done, what=f"Work of {thread} after its session was ended")
    assert len(sessions) > 1


def test_link_is_found_all_the_same() -> None:
    """L-27: at once, whoever asks first"""
    make_link(identifier="abc123")
    links = LinkCache()

    def find() -> None:
        links.drop()
        assert links.find("abc123") is not None

    try:
        works_on_after_a_cut("livereferrals-links", find, lambda: True)
    finally:
        links.close()


def test_housekeeper_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """O-04: totals follow the log again"""
    monkeypatch.setattr(keeper, "ROLLUPS_S", 0.02)
    monkeypatch.setattr(keeper, "BACK_OFF_S", 0.02)
    thread = housekeeping.Housekeeper()
    thread.start()
    try:
        works_on_after_a_cut(
            "livereferrals-housekeeping", make_event, lambda: rollups.position().seq == EventLog.objects.get().head > 0
        )
    finally:
        thread.stop()


def test_idle_worker_goes_on(sink: PartnerSink) -> None:
    """callback-F41: what it asks first, when there is work again, is asked outside of a transaction"""
    subscription = subscribe(sink.url())
    with running_worker() as worker:
        works_on_after_a_cut(
            "livereferrals-callbacks-database",
            lambda: owe(subscription),
            lambda: worker.is_well and not unfinished(),
        )


def unfinished() -> bool:
    """Whether something is to be delivered, or its endpoint to be given back."""
    return (
        Delivery.objects.exclude(state="delivered").exists()
        or Endpoint.objects.filter(lease_token__isnull=False).exists()
    )


def test_watch_over_endpoints_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """callback-F37: what staff should know of is noticed again"""
    monkeypatch.setattr(watching, "STEP_S", 0.02)
    monkeypatch.setattr(watching, "SWEEP_S", 0.0)

    def poison() -> None:
        EndpointAlert.objects.all().delete()
        make_delivery(state="dead", end_reason="poison", finished_at=timezone.now(), attempts=3, lost=3)

    watch = watching.Watch()
    try:
        works_on_after_a_cut(
            "livereferrals-callbacks-watch", poison, lambda: EndpointAlert.objects.filter(cause="poison").exists()
        )
    finally:
        asyncio.run(watch.aclose())


def test_recorder_of_firings_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """dashboard-36: what triggers decide is written down again, and nothing is missing"""
    monkeypatch.setattr(firings, "EVERY_S", 0.02)
    monkeypatch.setattr(firings, "RETRY_S", 0.02)
    monkeypatch.setattr("atexit.register", lambda hook: None)
    recorder, taken = Recorder(), 0

    def decide() -> None:
        nonlocal taken
        taken += 1
        recorder.take(TriggerFiring(trigger="Order paid", fired_at=timezone.now(), reason="no-hits"))

    works_on_after_a_cut("livereferrals-firings", decide, lambda: TriggerFiring.objects.count() == taken)
