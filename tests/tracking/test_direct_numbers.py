"""Batches of hits that number their events themselves, and when they leave that to the sequencer."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction
from django.utils import timezone

from livereferrals.events import direct, log, sequencer
from livereferrals.events.fresh import fresh
from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import Event, EventLog
from livereferrals.tracking.drafts import Recorded
from livereferrals.tracking.models import ReferralHit
from livereferrals.tracking.writing import Hits
from tests.events.load import in_threads
from tests.factories import make_entry, make_link, make_visitor
from tests.sessions import held_elsewhere
from tests.tracking.drafting import make_draft
from tests.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.models import ReferralLink

LOOK_S = 0.01
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> ReferralLink:
    """A link, and a log that is there; however soon after the last one, a batch may number itself."""
    monkeypatch.setattr(direct, "APART_S", 0.0)
    log.load_log()
    return make_link()


def write(hits: Hits, drafts: list[HitDraft]) -> list[Recorded]:
    """Write a batch, of which nothing is refused."""
    written = [outcome for outcome in hits.write(drafts) if isinstance(outcome, Recorded)]
    assert len(written) == len(drafts)
    return written


def numbers() -> list[int | None]:
    """Return the numbers of all events in the order of their ids."""
    return list(Event.objects.order_by("id").values_list("seq", flat=True))


def test_batch_numbers_its_events_in_its_own_transaction(link: ReferralLink) -> None:
    """feed-19, L-35: in the order of the batch, from the head on; hits of crawlers have no event"""
    hits = Hits()
    write(hits, [make_draft(link)])
    first = log.load_log()
    written = write(hits, [make_draft(link), make_draft(link, bot=True), make_draft(link)])
    told = [events["hit"] for events in Event.objects.order_by("seq").values_list("data", flat=True)]
    assert numbers() == [1, 2, 3]
    assert told[1:] == [str(written[0].hit_id), str(written[2].hit_id)]
    assert hits.numbered == 2
    now = log.load_log()
    assert (first.head, now.head) == (1, 3)
    assert now.last_numbered_at == Event.objects.get(seq=3).numbered_at
    assert sequencer.number_events(is_expected=True) == 0


def test_batch_without_events_leaves_the_log_alone(link: ReferralLink) -> None:
    """L-35"""
    before, hits = log.load_log(), Hits()
    write(hits, [make_draft(link, bot=True)])
    assert (log.load_log().head, log.load_log().last_numbered_at) == (0, before.last_numbered_at)
    assert hits.numbered == 0


def test_time_of_the_numbers_never_goes_back(link: ReferralLink) -> None:
    """feed-52: after an hour in the future it stays there"""
    ahead = timezone.now() + timedelta(hours=1)
    EventLog.objects.update(last_numbered_at=ahead)
    write(Hits(), [make_draft(link)])
    assert Event.objects.get().numbered_at == ahead


def test_batch_does_not_pass_what_waits_for_its_number(link: ReferralLink) -> None:
    """feed-19: what was committed before gets the smaller number"""
    # Of a process that has not lived to number it.
    waiting, hits = Event.objects.create(type="hit", occurred_at=timezone.now()).pk, Hits()
    write(hits, [make_draft(link)])
    assert numbers() == [None, None]
    assert hits.numbered is None
    assert sequencer.number_events(is_expected=True) == 2
    assert Event.objects.get(seq=1).pk == waiting


def test_hit_inside_of_a_transaction_is_numbered_after_it(link: ReferralLink) -> None:
    """feed-62: nobody holds the log while somebody else thinks"""
    hits = Hits()
    with transaction.atomic():
        write(hits, [make_draft(link)])
        assert numbers() == [None]
    assert hits.numbered is None


def test_hit_of_a_carried_visitor_keeps_its_number_in_order(link: ReferralLink) -> None:
    """feed-19: whichever way it is written"""
    hits, visitor = Hits(), make_visitor()
    write(hits, [make_draft(link, visitor=visitor.pk)])
    sequencer.number_events(is_expected=hits.numbered is None)
    write(hits, [make_draft(link)])
    assert numbers() == [1, 2]


def test_readers_get_of_the_batch_what_the_database_says(link: ReferralLink) -> None:
    """feed-11: whoever follows the log in this process, without a query"""
    fresh.want()
    try:
        before = log.bounds()
        write(Hits(), [make_draft(link, click_id="c1", subs=["a"]), make_draft(link, bot=True), make_draft(link)])
        (batch,) = fresh.after(before, position=before.head)
        assert [event._asdict() for event in batch.events] == [
            {name: getattr(event, name) for name in batch.events[0]._fields} for event in log.read(before.head, limit=9)
        ]
        row = log.load_log()
        assert (batch.epoch, batch.head, batch.oldest, batch.revision, batch.house_key) == (
            row.epoch, row.head, row.oldest, row.revision, row.house_key
        )  # fmt: skip
    finally:
        fresh.unwant()


def test_small_batches_number_themselves_now_and_then_and_large_ones_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-18: each leaves a state of the log's row behind, through which readers of old snapshots make others go"""
    monkeypatch.setattr(direct, "APART_S", 3600.0)
    pace = direct.Pace()
    assert [pace.allows(events) for events in (0, 1, 1, direct.MANY - 1, direct.MANY, direct.MANY)] == [
        False, True, False, False, True, True
    ]  # fmt: skip
    monkeypatch.setattr(direct, "APART_S", 0.0)
    assert pace.allows(1)


# --- the lock -------------------------------------------------------------------------------------------------------------

on_postgres = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one lock for all")


def log_held() -> AbstractContextManager[None]:
    """Have another connection hold the log's row."""
    return held_elsewhere(lambda: lock_singleton(EventLog, using="default"), until=threading.Event())


@on_postgres
def test_hit_does_not_wait_for_the_log(link: ReferralLink) -> None:
    """L-10, feed-62: whoever has it, for however long: the event is numbered afterwards"""
    hits = Hits()
    with log_held():
        write(hits, [make_draft(link)])
        assert (numbers(), hits.numbered) == ([None], None)
    assert sequencer.number_events() == 1


@on_postgres
def test_session_that_sees_the_past_leaves_its_events(link: ReferralLink) -> None:
    """feed-19: under REPEATABLE READ the log's row could not be locked once it has changed"""
    hits = Hits()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation = 'repeatable read'")
        try:
            write(hits, [make_draft(link)])
        finally:
            cursor.execute("RESET default_transaction_isolation")
    assert (numbers(), hits.numbered) == ([None], None)


def test_numbers_have_no_gap_when_everybody_gives_them(link: ReferralLink) -> None:
    """feed-18, feed-19: writers of hits, hosts' own transactions and the sequencer, all at once; readers see no hole"""
    # On SQLite they take turns, and one that sleeps meanwhile may miss many of them.
    batches, each, over = 25 if connection.vendor == "postgresql" else 6, 4, threading.Event()
    holes: list[tuple[int, int]] = []

    def write_hits() -> None:
        hits = Hits()
        for _ in range(batches):
            write(hits, [make_draft(link) for _ in range(each)])

    def append() -> None:
        for _ in range(batches):
            log.append_all([make_entry() for _ in range(each)])
            sequencer.number_events(is_expected=True)

    def look() -> None:
        while not over.wait(LOOK_S):
            head = log.bounds().head
            seen = Event.objects.filter(seq__lte=head).count()
            if seen != head:
                holes.append((seen, head))
        connection.close()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        in_threads([write_hits, write_hits, append, append])
    finally:
        over.set()
        reader.join()
    wait_until(lambda: sequencer.number_events() == 0, what="The last numbers")
    total = 4 * batches * each
    assert sorted(number or 0 for number in numbers()) == list(range(1, total + 1))
    assert log.bounds().head == total
    assert ReferralHit.objects.count() == total / 2
    assert holes == []
