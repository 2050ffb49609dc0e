"""What the property test of the feed is made of: writers, watchers that come and go, and an operator, all by chance.

A `History` is what truly happened; each `Watcher` keeps what it was given, in runs that a hole it was *told* of ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection, connections, transaction
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from livereferrals import ids
from livereferrals.events import epochs, log, retention
from livereferrals.events.models import Event
from tests.factories import make_entry
from tests.streaming.clients import RawFeed, feed, seq

if TYPE_CHECKING:
    import uuid

    from tests.servers import HostServer
    from tests.streaming.conftest import Reader

COME_BACK = {1000, 1001, 1006, 1011, 1012, 4000, 4001, 4008, 4009, 4010, 4029}
"""Codes after which a client reconnects with its cursor (feed protocol, 9)."""
TOLD_OF_A_HOLE = {4510, 4511}
PRUNE_EVERY_S = 0.7


@dataclass
class History:
    """What was committed, and what was numbered; kept by the test, because the log forgets."""

    committed: set[uuid.UUID] = field(default_factory=set)
    undone: set[uuid.UUID] = field(default_factory=set)
    numbered: dict[int, Event] = field(default_factory=dict)
    acts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _topics: dict[str | None, list[tuple[int, str]]] = field(default_factory=dict)

    def note(self, act: str) -> None:
        with self.lock:
            self.acts[act] += 1

    def write_down(self) -> None:
        """Take in what has been numbered since."""
        with self.lock:
            last = max(self.numbered, default=0)
            self.numbered |= {event.seq: event for event in log.read(last, limit=1_000_000) if event.seq is not None}

    def told_to(self, partner: str | None, *, after: int, upto: int) -> list[tuple[int, str]]:
        """Return what a topic has after one number up to another."""
        if partner not in self._topics:
            mine = (
                (number, event) for number, event in sorted(self.numbered.items()) if partner in {None, event.partner}
            )
            self._topics[partner] = [(number, str(event.id)) for number, event in mine]
        topic = self._topics[partner]
        return topic[bisect_right(topic, after, key=_seq) : bisect_right(topic, upto, key=_seq)]


def _seq(entry: tuple[int, str]) -> int:
    return entry[0]


class Writer:
    """Writes transactions of all kinds until it is told to stop."""

    def __init__(self, number: int, partners: list[str], history: History, stop: threading.Event) -> None:
        self._chance = random.Random(f"writer {number}")  # noqa: S311 - a load, not a secret
        self._partners, self._history, self._stop = partners, history, stop

    def run(self) -> None:
        kinds = {
            self._commit: 8,
            self._roll_back: 2,
            self._roll_back_a_part: 2,
            self._take_long: 1,
            self._die_before_numbering: 2,
        }
        try:
            while not self._stop.wait(self._chance.expovariate(40)):
                act = self._chance.choices(list(kinds), weights=list(kinds.values()))[0]
                act()
                self._history.note(act.__name__)
        finally:
            connections.close_all()

    def _append(self) -> set[uuid.UUID]:
        count = self._chance.choice([1, 1, 1, 2, 3, 30])
        entries = [make_entry(partner=self._chance.choice(self._partners)) for _ in range(count)]
        return {event.id for event in log.append_all(entries)}

    def _commit(self) -> None:
        with transaction.atomic():
            found = self._append()
        self._history.committed |= found

    def _roll_back(self) -> None:
        with transaction.atomic():
            self._history.undone |= self._append()
            transaction.set_rollback(True)

    def _roll_back_a_part(self) -> None:
        with transaction.atomic():
            outer = self._append()
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                self._history.undone |= self._append()
                raise ZeroDivisionError
            outer |= self._append()
        self._history.committed |= outer

    def _take_long(self) -> None:
        """Hold a transaction open, on PostgreSQL while others commit."""
        with transaction.atomic():
            found = self._append()
            self._stop.wait(self._chance.uniform(0.1, 1.0) if connection.vendor == "postgresql" else 0.05)
            found |= self._append()
        self._history.committed |= found

    def _die_before_numbering(self) -> None:
        """Leave what a process leaves that is killed between its commit and the hook after it."""
        partner = self._chance.choice(self._partners)
        row = Event(id=ids.new_uuid(), type="hit", occurred_at=timezone.now(), partner=partner)
        Event.objects.bulk_create([row])
        self._history.committed.add(row.id)


class Operator:
    """Prunes and begins new epochs."""

    def __init__(self, history: History, stop: threading.Event, *, epoch_after: int) -> None:
        self._chance = random.Random("operator")  # noqa: S311 - a load, not a secret
        self._history, self._stop, self._epoch_after = history, stop, epoch_after

    def run(self) -> None:
        prunes = 0
        try:
            while not self._stop.wait(PRUNE_EVERY_S):
                self._prune()
                prunes += 1
                if prunes % self._epoch_after == 0:
                    epochs.begin_new_epoch()
                    self._history.note("new epoch")
        finally:
            connections.close_all()

    def _prune(self) -> None:
        bounds = log.bounds()
        self._history.write_down()
        # Mostly what everybody has read; sometimes all, under the feet of whoever is behind.
        upto = bounds.head if self._chance.random() < 0.3 else (bounds.oldest + bounds.head) // 2
        for count in retention.prune(before=timezone.now(), upto=upto):
            self._history.acts["events pruned"] += count
        self._history.note("prune")


@dataclass
class Run:
    """What a watcher was given between two holes that it was told of, or since its beginning."""

    epoch: str
    after: int
    upto: int
    events: list[tuple[int, str]] = field(default_factory=list)


class Watcher:
    """A client that comes, reads for a while, goes in one way or another, and comes back with its cursor."""

    def __init__(self, number: int, reader: Reader, servers: list[HostServer], history: History) -> None:
        self.chance = random.Random(f"watcher {number}")  # noqa: S311 - a load, not a secret
        self.reader, self.history = reader, history
        self.partner = None if reader.row.partner is None else reader.row.partner.uid
        self.runs: list[Run] = []
        self._servers = servers
        self._cursor = self.chance.choice(["oldest", "newest"])

    @property
    def place(self) -> int:
        """The number up to which it has everything."""
        return self.runs[-1].upto if self.runs else -1

    async def watch(self, stop: asyncio.Event) -> None:
        """Come and go until it is told to stop."""
        while not stop.is_set():
            self._forget_some()
            await self._visit(stay_s=self.chance.choice([0.0, 0.05, 0.3, 1.0, 3.0]))

    async def catch_up(self, head: int) -> None:
        """Come back until everything up to `head` was given."""
        while self.place < head:
            await self._visit(stay_s=5.0, upto=head)

    def _forget_some(self) -> None:
        """Sometimes go back to an event in the middle of what was given, as after a crash before the last were stored."""
        if self.chance.random() < 0.3 and self.runs and self.runs[-1].events:
            run = self.runs[-1]
            kept = self.chance.randrange(max(0, len(run.events) - 20), len(run.events))
            run.events = run.events[: kept + 1]
            run.upto = run.events[-1][0]
            self._cursor = f"{run.epoch}.{run.upto}"
            self.history.note("crash of a watcher")

    async def _visit(self, *, stay_s: float, upto: int | None = None) -> None:
        options: dict[str, Any] = {"cursor": self._cursor, "ack": self.chance.choice([0, 1])}
        if self.chance.random() < 0.5:
            options["batch"] = self.chance.choice([1, 7, 500])
        server = self.chance.choice(self._servers)
        try:
            async with feed(server, self.reader.token, **options) as client:
                await self._read(client, stay_s=stay_s, upto=upto)
                if self.chance.random() < 0.5:
                    client.socket.transport.abort()
        except ConnectionClosed as closed:
            self._part(closed.rcvd.code if closed.rcvd is not None else 1006)
        except (OSError, EOFError, InvalidHandshake, TimeoutError):
            self.history.note("server away")
            await asyncio.sleep(0.25)  # a server that starts needs the processor more

    async def _read(self, client: RawFeed, *, stay_s: float, upto: int | None) -> None:
        """Read until the time is over, or the place is reached."""
        self._last: dict[str, Any] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stay_s):
                while upto is None or self.place < upto:
                    self._take(await client.receive(timeout_s=30))
        self.history.note("watcher left")

    def _take(self, message: dict[str, Any]) -> None:
        self._last = message
        if message["type"] == "hello":
            self._begin(message)
        elif message["type"] in {"events", "heartbeat"}:
            run = self.runs[-1]
            assert seq(message["prev"]) <= run.upto, f"a hole: {message['prev']} after {run.upto}"
            for event in message.get("events", ()):
                assert event["cursor"].startswith(f"{run.epoch}.")
                if seq(event["cursor"]) > run.upto:  # the client's rule: what it has it skips
                    run.events.append((seq(event["cursor"]), event["id"]))
            run.upto = seq(message["cursor"])
            self._cursor = message["cursor"]

    def _begin(self, hello: dict[str, Any]) -> None:
        start = seq(hello["cursor"])
        if self._cursor not in {"oldest", "newest"}:
            assert hello["cursor"] == self._cursor, "a connection starts at the cursor that was given"
        if not self.runs or self.runs[-1].upto != start or self.runs[-1].epoch != hello["epoch"]:
            self.runs.append(Run(epoch=hello["epoch"], after=start, upto=start))
        self._cursor = hello["cursor"]

    def _part(self, code: int) -> None:
        self.history.note(f"closed with {code}")
        if code in TOLD_OF_A_HOLE:
            assert self._last["type"] == "error", self._last
            # Its owner was told, and says: go on from the oldest there is.
            self._cursor = "oldest"
            self.runs.append(Run(epoch="", after=-1, upto=-1))
        else:
            assert code in COME_BACK, (code, self._last)

    def check(self) -> None:
        """Each run holds exactly what the topic had between its first and its last cursor, in order."""
        for run in self.runs:
            if run.epoch:
                assert run.events == self.history.told_to(self.partner, after=run.after, upto=run.upto)
