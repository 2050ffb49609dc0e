"""The log: appending, its bounds, reading by topic."""

from __future__ import annotations

import uuid

import pytest
from django.db import transaction

from livereferrals import ids
from livereferrals.events import log, sequencer
from livereferrals.events.models import Event, EventLog, EventType
from tests.factories import make_entry, make_event

pytestmark = pytest.mark.django_db


def seqs(events: list[Event]) -> list[int | None]:
    return [event.seq for event in events]


def test_an_entry_is_written_as_it_is_and_without_a_number() -> None:
    """feed-18 Every field of the entry is in the row; the number comes after the commit."""
    link, visitor = ids.new_uuid(), ids.new_uuid()
    entry = make_entry(
        type=EventType.CLAIM,
        data={"hits": 2},
        partner="Ab3dEf9h",
        link=link,
        link_identifier="x",
        visitor=visitor,
        user="7",
    )
    log.append(entry)
    row = Event.objects.get()
    assert (row.type, row.data, row.partner, row.link) == ("claim", {"hits": 2}, "Ab3dEf9h", link)
    assert (row.link_identifier, row.visitor, row.user) == ("x", visitor, "7")
    assert (row.occurred_at, row.seq, row.numbered_at) == (entry.occurred_at, None, None)
    assert row.id.version == 7


def test_many_entries_are_one_insert_in_the_given_order(django_assert_num_queries) -> None:
    """feed-19 A claim of many partners' hits costs one insert, and its events keep their order."""
    with django_assert_num_queries(1):
        rows = log.append_all([make_entry(data={"n": n}) for n in range(50)])
    sequencer.number_events()
    assert [event.data["n"] for event in log.read(0, limit=100)] == list(range(50))
    assert [row.id for row in rows] == [event.id for event in log.read(0, limit=100)]


def test_appending_nothing_writes_nothing(django_assert_num_queries) -> None:
    """feed-18 An act without events leaves no trace in the log."""
    with django_assert_num_queries(0):
        assert log.append_all([]) == []


def test_an_unnumbered_event_is_not_read() -> None:
    """feed-20 What has no number yet is not in the log."""
    log.append(make_entry())
    assert log.read(0, limit=10) == []
    assert log.bounds().head == 0


def test_a_savepoint_that_is_rolled_back_takes_its_events_along() -> None:
    """feed-21 The inner event is never seen, the outer one is."""
    with transaction.atomic():
        outer = log.append(make_entry())
        with transaction.atomic():
            log.append(make_entry())
            transaction.set_rollback(True)
    sequencer.number_events()
    assert [event.id for event in log.read(0, limit=10)] == [outer.id]


def test_reading_is_bounded_on_both_sides_and_by_the_limit() -> None:
    """feed-22 `after` is excluded, `upto` included, and a limit gives the first ones."""
    for _ in range(6):
        make_event()
    assert seqs(log.read(2, limit=10)) == [3, 4, 5, 6]
    assert seqs(log.read(2, upto=4, limit=10)) == [3, 4]
    assert seqs(log.read(0, limit=2)) == [1, 2]
    assert log.read(6, limit=10) == []


def test_a_topic_gives_its_own_events_only() -> None:
    """feed-16 One partner's reader, or one link's, gets no event of another."""
    mine, other = ids.new_uuid(), ids.new_uuid()
    make_event(partner="AAAAAAAA", link=mine)
    make_event(partner="BBBBBBBB", link=other)
    make_event(partner="AAAAAAAA", link=other)
    make_event()
    assert seqs(log.read(0, limit=10, topic=log.Topic(partner="AAAAAAAA"))) == [1, 3]
    assert seqs(log.read(0, limit=10, topic=log.Topic(link=other))) == [2, 3]
    assert seqs(log.read(0, limit=10, topic=log.EVERYTHING)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        (log.EVERYTHING, "all"),
        (log.Topic(partner="AAAAAAAA"), "partner:AAAAAAAA"),
        (log.Topic(link=uuid.UUID(int=7)), "link:00000000-0000-0000-0000-000000000007"),
    ],
    ids=["everything", "partner", "link"],
)
def test_a_topic_covers_what_it_reads(topic: log.Topic, name: str) -> None:
    """feed-16 `covers()` in memory and `read()` in the database agree for every topic."""
    for partner in ("AAAAAAAA", "BBBBBBBB", ""):
        for link in (uuid.UUID(int=7), uuid.UUID(int=8), None):
            make_event(partner=partner, link=link)
    everything = log.read(0, limit=100)
    assert seqs(log.read(0, limit=100, topic=topic)) == seqs([event for event in everything if topic.covers(event)])
    assert str(topic) == name


def test_bounds_give_the_cursors_of_both_ends(django_assert_num_queries) -> None:
    """feed-33 An empty log begins and ends at 0; each event moves the head; one query."""
    empty = log.bounds()
    assert str(empty.oldest_cursor) == str(empty.newest_cursor) == f"{empty.epoch}.0"
    make_event()
    make_event()
    with django_assert_num_queries(1):
        bounds = log.bounds()
    assert (bounds.epoch, bounds.head, bounds.oldest) == (empty.epoch, 2, 0)
    assert str(bounds.newest_cursor) == f"{empty.epoch}.2"


def test_the_log_makes_its_row_anew_under_another_epoch() -> None:
    """feed-31 Where the tables were flushed, old cursors are of another epoch, not silently of this one."""
    before = log.bounds().epoch
    EventLog.objects.all().delete()
    after = log.bounds()
    assert after.epoch != before
    assert (after.head, EventLog.objects.count()) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_an_event_is_committed_and_numbered_at_once() -> None:
    """feed-18 Code outside `atomic` need not think of it."""
    event = log.append(make_entry())
    event.refresh_from_db()
    assert event.seq == 1
