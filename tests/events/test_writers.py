"""Eight writers at once, and what readers see of them: the log loses and reorders nothing, `id > last seen` does."""

from __future__ import annotations

import random
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections, transaction

from livereferrals.events import log, sequencer
from livereferrals.events.models import Event
from tests.events.load import in_threads
from tests.factories import make_entry
from tests.waiting import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS = 8
TRANSACTIONS = 20
"""Of each writer."""
BATCH = 17
"""Events that the readers fetch at a time: small and odd, so that batches end inside a transaction's events."""

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]


@dataclass
class Load:
    """What the writers have done, and what the readers have seen of it."""

    committed: dict[int, list[uuid.UUID]] = field(default_factory=lambda: {n: [] for n in range(WRITERS)})
    """Ids by writer, in the order of their commits."""
    rolled_back: set[uuid.UUID] = field(default_factory=set)
    by_seq: list[Event] = field(default_factory=list)
    by_id: list[uuid.UUID] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def total(self) -> int:
        return sum(map(len, self.committed.values()))

    def write(self, writer: int) -> None:
        """Transactions of 1 to 5 events: most are committed, some rolled back, some take long."""
        chance = random.Random(writer)  # noqa: S311 - a load, not a secret
        for turn in range(TRANSACTIONS):
            with transaction.atomic():
                ids = [event.id for event in log.append_all(self._entries(writer, turn, chance))]
                self._think(chance)
                ids += [event.id for event in log.append_all(self._entries(writer, turn, chance))]
                fails = chance.random() < 0.2
                transaction.set_rollback(fails)
            if fails:
                self.rolled_back.update(ids)
            else:
                self.committed[writer] += ids

    @staticmethod
    def _entries(writer: int, turn: int, chance: random.Random) -> list[log.Entry]:
        return [make_entry(data={"writer": writer, "turn": turn}) for _ in range(chance.randint(1, 3))]

    def _think(self, chance: random.Random) -> None:
        """Hold the transaction open while others commit; on SQLite they cannot, and the wait is only short."""
        if chance.random() < 0.3:
            seen = self.total
            others = connection.vendor == "postgresql"
            threading.Event().wait(0.002)
            waited = 0
            while others and self.total < seen + 10 and waited < 50 and not self.done.is_set():
                threading.Event().wait(0.002)
                waited += 1

    def write_all(self) -> None:
        """Run all writers and say when they are done."""
        try:
            in_threads([lambda writer=writer: self.write(writer) for writer in range(WRITERS)])  # type: ignore[misc] # a default argument binds the loop's value
        finally:
            self.done.set()

    def follow_by_seq(self) -> None:
        """Read as the hub does: batch after batch after the last number seen."""
        self._follow(self.read_by_seq)

    def follow_by_id(self) -> None:
        """Read as is often done: what has a greater id than the last one seen."""
        self._follow(self.read_by_id)

    def read_by_seq(self) -> int:
        batch = log.read(self.by_seq[-1].seq or 0 if self.by_seq else 0, limit=BATCH)
        self.by_seq += batch
        return len(batch)

    def read_by_id(self) -> int:
        last = self.by_id[-1] if self.by_id else uuid.UUID(int=0)
        batch = list(Event.objects.filter(id__gt=last).order_by("id").values_list("id", flat=True)[:BATCH])
        self.by_id += batch
        return len(batch)

    def _follow(self, read: Callable[[], int]) -> None:
        """Read until the writers are done, all is numbered, and nothing more comes."""
        while not self.done.is_set():
            read()
        wait_until(lambda: not Event.objects.filter(seq__isnull=True).exists(), what="A number for every event")
        while read():
            pass


def run(*acts: Callable[[], object]) -> None:
    in_threads([*acts])
    connections.close_all()


def test_eight_writers_lose_and_reorder_nothing() -> None:
    """feed-19 feed-20 With commits, rollbacks and long transactions a reader by seq gets 1..n, each event once, in order.

    The publisher's thread numbers after each commit while another sequencer, the safety net, runs all the time.
    """
    load = Load()

    def safety_net() -> None:
        while not load.done.is_set():
            sequencer.number_events()

    run(load.write_all, load.follow_by_seq, safety_net)
    committed = {event for events in load.committed.values() for event in events}
    assert len(committed) == load.total > WRITERS * TRANSACTIONS
    assert load.rolled_back
    assert [event.seq for event in load.by_seq] == list(range(1, load.total + 1))
    assert {event.id for event in load.by_seq} == committed
    stamps = [event.numbered_at for event in load.by_seq if event.numbered_at is not None]
    assert stamps == sorted(stamps)
    for writer, ids in load.committed.items():
        assert [event.id for event in load.by_seq if event.data["writer"] == writer] == ids


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one writer in at a time")
def test_reading_by_id_loses_rows_on_the_same_load() -> None:
    """feed-19 Why there is a seq: a row with a smaller id that becomes visible later is never read, on the same load."""
    load = Load()
    run(load.write_all, load.follow_by_seq, load.follow_by_id)
    committed = {event for events in load.committed.values() for event in events}
    assert {event.id for event in load.by_seq} == committed
    lost = committed - set(load.by_id)
    assert lost, "the load should hold transactions open across the commits of others"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite lets one writer in at a time")
def test_a_slow_transaction_is_lost_by_id_and_found_by_seq() -> None:
    """feed-19 The one interleaving behind it: A writes, B writes and commits, the reader looks, A commits."""
    load = Load()
    a_has_written, reader_has_looked = threading.Event(), threading.Event()
    a_ids: list[uuid.UUID] = []

    def slow() -> None:
        with transaction.atomic():
            a_ids.append(log.append(make_entry()).id)
            a_has_written.set()
            assert reader_has_looked.wait(DEADLINE_S)

    def quick() -> None:
        assert a_has_written.wait(DEADLINE_S)
        b_id = log.append(make_entry()).id
        assert b_id > a_ids[0]
        wait_until(lambda: load.read_by_id() == 1, what="B's row by id")
        wait_until(lambda: load.read_by_seq() == 1, what="B's row by seq")
        reader_has_looked.set()

    run(slow, quick)
    wait_until(lambda: load.read_by_seq() == 1, what="A's row by seq")
    assert [event.seq for event in load.by_seq] == [1, 2]
    assert load.by_seq[1].id == a_ids[0]
    assert load.read_by_id() == 0
    assert a_ids[0] not in load.by_id
