"""The sequencer: numbers without gaps, times that never go back."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from livereferrals.events import log, sequencer
from livereferrals.events.models import Event, EventLog
from tests.events.load import in_threads
from tests.factories import make_entry, make_event


@pytest.mark.django_db
def test_numbers_have_no_gap_over_several_batches() -> None:
    """feed-19 More events than one batch holds are all numbered, 1..n, in the order of their ids."""
    count = sequencer.BATCH * 2 + 1
    log.append_all([make_entry(data={"n": n}) for n in range(count)])
    assert sequencer.number_events() == count
    read = log.read(0, limit=count + 1)
    assert [(event.seq, event.data["n"]) for event in read] == [(n + 1, n) for n in range(count)]
    assert log.bounds().head == count


@pytest.mark.django_db
def test_nothing_to_number_is_one_query(django_assert_num_queries) -> None:
    """feed-18 The safety net of each hub and worker is cheap."""
    make_event()
    with django_assert_num_queries(1):
        assert sequencer.number_events() == 0


@pytest.mark.django_db
def test_a_number_is_never_given_twice_even_when_the_newest_events_are_gone() -> None:
    """feed-22 The head remembers: what was pruned or deleted does not give its number to another event."""
    make_event()
    make_event()
    Event.objects.all().delete()
    assert make_event().seq == 3


@pytest.mark.django_db
def test_the_time_of_numbering_never_goes_back_when_the_clock_does() -> None:
    """feed-52 After an hour in the future the next event gets the same time, not an earlier one."""
    ahead = timezone.now() + timedelta(hours=1)
    log.load_log()
    EventLog.objects.update(last_numbered_at=ahead)
    first, second = make_event(), make_event()
    assert first.numbered_at == second.numbered_at == ahead


@pytest.mark.django_db
def test_the_time_of_numbering_is_now_and_is_remembered() -> None:
    """feed-37 Each event keeps when it was numbered, and the log the newest of these times."""
    before = timezone.now() - timedelta(seconds=5)
    event = make_event(occurred_at=before - timedelta(days=30))
    assert event.numbered_at is not None
    assert before < event.numbered_at < timezone.now() + timedelta(seconds=5)
    assert EventLog.objects.get().last_numbered_at == event.numbered_at


@pytest.mark.django_db
def test_a_flush_of_the_tables_makes_a_new_log() -> None:
    """feed-31 With the log's row gone, the next numbering makes it anew, from 1, under another epoch."""
    make_event()
    epoch = log.bounds().epoch
    Event.objects.all().delete()
    EventLog.objects.all().delete()
    assert make_event().seq == 1
    assert log.bounds().epoch != epoch


@pytest.mark.django_db(transaction=True)
def test_sequencers_that_run_at_the_same_time_number_each_event_once() -> None:
    """feed-19 Eight of them, started together on 400 waiting events, give 1..400 between them."""
    log.load_log()
    Event.objects.bulk_create([Event(type="hit", occurred_at=timezone.now()) for _ in range(400)])
    numbered = in_threads([sequencer.number_events] * 8)
    assert sum(numbered) == 400
    assert list(Event.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 401))
    assert log.bounds().head == 400


@pytest.mark.django_db(transaction=True)
def test_sequencers_that_find_no_log_make_one() -> None:
    """feed-31 Eight of them at once on flushed tables: one row, no gap, no error."""
    EventLog.objects.all().delete()
    Event.objects.bulk_create([Event(type="hit", occurred_at=timezone.now()) for _ in range(100)])
    in_threads([sequencer.number_events] * 8)
    assert EventLog.objects.count() == 1
    assert log.bounds().head == 100


@pytest.mark.django_db(transaction=True)
def test_a_numbering_that_is_rolled_back_gives_its_numbers_to_the_next() -> None:
    """feed-19 A process that dies between numbering and commit leaves neither a gap nor a hole."""
    Event.objects.bulk_create([Event(type="hit", occurred_at=timezone.now()) for _ in range(3)])
    with transaction.atomic():
        assert sequencer.number_events() == 3
        transaction.set_rollback(True)
    assert log.bounds().head == 0
    assert sequencer.number_events() == 3
    assert [event.seq for event in log.read(0, limit=9)] == [1, 2, 3]


@pytest.mark.django_db
def test_finding_what_is_unnumbered_uses_an_index() -> None:
    """feed-38 The sequencer's question stays cheap in a log of millions: the log itself is never scanned."""
    waiting = Event.objects.filter(seq__isnull=True).order_by("id")[:1]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert re.search(r"Index (Only )?Scan using lr_event_unnumbered", waiting.explain())
    else:
        # It holds what waits and nothing else: to go through it is to find it.
        assert "livereferrals_event USING INDEX lr_event_unnumbered" in waiting.explain()
