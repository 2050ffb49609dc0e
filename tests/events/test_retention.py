"""Pruning the log: in batches, oldest first, while others write and read."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from livereferrals.events import log, retention, sequencer
from livereferrals.events.models import Event, EventLog
from livereferrals.streaming import reading
from tests.events.load import in_threads
from tests.factories import make_entry

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def make_log(count: int) -> None:
    """Events numbered one a minute from noon on."""
    log.append_all([make_entry() for _ in range(count)])
    while sequencer.number_events():
        pass
    for event in Event.objects.order_by("seq"):
        event.numbered_at = NOON + timedelta(minutes=event.seq or 0)
        event.save()


def seqs() -> list[int | None]:
    return list(Event.objects.order_by("seq").values_list("seq", flat=True))


def prune(*, minute: int, upto: int = 1000) -> list[int]:
    return list(retention.prune(before=NOON + timedelta(minutes=minute), upto=upto))


def test_events_numbered_before_a_time_go_and_the_log_says_so() -> None:
    """feed-28"""
    make_log(10)
    assert retention.prunable(before=NOON + timedelta(minutes=4), upto=1000) == 3
    assert prune(minute=4) == [3]
    assert (seqs(), log.bounds().oldest, log.bounds().head) == ([4, 5, 6, 7, 8, 9, 10], 3, 10)
    assert prune(minute=4) == []


def test_whole_log_may_go_and_numbers_go_on() -> None:
    """feed-28"""
    make_log(3)
    prune(minute=60)
    assert (seqs(), log.bounds().oldest) == ([], 3)
    log.append(make_entry())
    sequencer.number_events()
    assert seqs() == [4]


def test_what_others_still_have_to_read_stays() -> None:
    """dashboard.md 3: what is not rolled up yet would be missing for ever"""
    make_log(5)
    assert retention.prunable(before=NOON + timedelta(minutes=60), upto=2) == 2
    assert prune(minute=60, upto=2) == [2]
    assert log.bounds().oldest == 2


def test_event_without_a_number_stays() -> None:
    """feed-61"""
    make_log(2)
    log.append(make_entry())
    Event.objects.filter(seq=3).update(seq=None, numbered_at=None)
    EventLog.objects.update(head=2)
    prune(minute=60)
    assert seqs() == [None]


def test_place_moves_before_the_events_go_and_a_killed_run_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-34: killed between the two, the log says that they are gone"""
    monkeypatch.setattr(retention, "BATCH", 3)
    make_log(10)
    assert next(retention.prune(before=NOON + timedelta(minutes=9), upto=1000)) == 3
    assert (seqs()[0], log.bounds().oldest) == (4, 3)
    EventLog.objects.update(oldest=6)  # as a run leaves it that is killed now
    assert prune(minute=9) == [3, 2]
    assert (seqs(), log.bounds().oldest) == ([9, 10], 8)


def test_each_batch_is_bounded_and_takes_few_statements(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: pytest.FixtureRequest
) -> None:
    """feed-34: no long statement, no query for each event"""
    monkeypatch.setattr(retention, "BATCH", 20)
    make_log(100)
    with django_assert_max_num_queries(6 * 6 + 4):  # type: ignore[operator] # pytest-django's
        assert prune(minute=99) == [20, 20, 20, 20, 18]


def test_look_that_a_prune_overtakes_says_that_the_place_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-34: between the two queries of a hub's look; it must not jump"""
    make_log(10)
    read = log.read

    def read_late(after: int, **options: object) -> list[Event]:
        prune(minute=7)
        return read(after, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(log, "read", read_late)
    look = reading.look(2, number=False)
    assert [event.seq for event in look.events] == [7, 8, 9, 10]
    assert look.bounds.oldest == 6  # the hub sees that its place, 2, is gone, and sends its watchers round


@pytest.mark.django_db(transaction=True)
def test_two_at_once_and_writers_lose_nothing() -> None:
    """feed-34: in many processes, beside the sequencer"""
    make_log(200)
    stop = threading.Event()
    started = timezone.now()

    def write() -> int:
        written = 0
        while not stop.is_set():
            with transaction.atomic():
                log.append(make_entry())
            written += 1
        return written

    def clean() -> int:
        try:
            return sum(retention.prune(before=started - timedelta(0), upto=10**9))
        finally:
            stop.set()

    before_now = Event.objects.filter(numbered_at__lt=started).count()
    written, *removed = in_threads([write, clean, clean])
    sequencer.number_events()
    bounds = log.bounds()
    assert sum(removed) == before_now
    assert seqs() == list(range(bounds.oldest + 1, bounds.head + 1))
    assert bounds.head == 200 + written
    assert connection.vendor in {"sqlite", "postgresql"}
