"""The feed's promise under chance: whoever watches, whatever happens, each run of a watcher is exactly the log.

`LIVEREFERRALS_SOAK=600` lets it go on for so many seconds.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.db import connection, connections

from livereferrals.events import log
from livereferrals.events.models import Event
from tests.servers import HostServer, host_server
from tests.streaming.chaos import History, Operator, Watcher, Writer
from tests.streaming.conftest import SETTINGS, make_reader
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

SOAK_S = int(os.environ.get("LIVEREFERRALS_SOAK", "0"))
SECONDS = SOAK_S or 5
WRITERS = 3
WATCHERS = 12 if SOAK_S else 6
UNLIMITED = dict.fromkeys(
    (
        "connections_token",
        "connections_partner",
        "connects_minute",
        "connects_burst",
        "client_messages_s",
        "client_messages_burst",
    ),
    10**6,
)
"""What would keep so many clients of one token away, and those with small batches from acknowledging each."""


pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.publisher_thread,
    pytest.mark.timeout(SECONDS * 2 + 120),
]


@pytest.fixture
def servers(transactional_db: None) -> Iterator[list[HostServer]]:
    """Two processes on PostgreSQL, one on SQLite, without a channel layer."""
    kinds = ["uvicorn", "daphne"] if connection.vendor == "postgresql" else ["uvicorn"]
    with ExitStack() as stack:
        yield [
            stack.enter_context(host_server(kind, LIVEREFERRALS=SETTINGS | {"FEED_LIMITS": UNLIMITED}))  # type: ignore[arg-type] # one of two words
            for kind in kinds
        ]


async def restart_by_chance(servers: list[HostServer], history: History, stop: asyncio.Event) -> None:
    """End a server, sometimes without a word, and start it again."""
    chance = random.Random("restarts")  # noqa: S311 - a load, not a secret
    while not stop.is_set():
        await asyncio.sleep(chance.uniform(1.0, 2.0) if not SOAK_S else chance.uniform(2.0, 15.0))
        server = chance.choice(servers)
        end = chance.choice([server.kill9, server.stop])
        await asyncio.to_thread(end)
        await asyncio.to_thread(server.start)
        history.note(f"server {end.__name__}")
        if not SOAK_S:
            return  # starting takes seconds


async def test_each_watcher_gets_exactly_the_log_between_its_cursors(servers: list[HostServer]) -> None:
    """feed-19 feed-20 feed-21 feed-25 feed-34: writers, watchers, prunes, epochs and restarts, all at once

    Commits, rollbacks, savepoints, long transactions, and writers that die before the numbering; watchers that connect,
    drop and resume.
    """
    history, stop, done = History(), threading.Event(), asyncio.Event()
    readers = await database_sync_to_async(lambda: [make_reader() for _ in range(3)])()
    partners = [reader.partner.uid for reader in readers]
    writers = [Writer(number, partners, history, stop) for number in range(WRITERS)]
    operator = Operator(history, stop, epoch_after=28 if SOAK_S else 4)
    watchers = [Watcher(number, readers[number % 3], servers, history) for number in range(WATCHERS)]
    try:
        async with asyncio.TaskGroup() as group:
            for run in (*(writer.run for writer in writers), operator.run):
                group.create_task(asyncio.to_thread(run))
            for watcher in watchers:
                group.create_task(watcher.watch(done))
            group.create_task(restart_by_chance(servers, history, done))
            await asyncio.sleep(SECONDS)
            # A busy machine needs longer until everything has happened.
            await eventually(lambda: has_seen_all(history), what="Each kind of thing that can happen")
            stop.set()
            done.set()
    finally:
        stop.set()  # a thread cannot be cancelled
    await eventually(database_sync_to_async(all_numbered), what="A number for every event")
    head = await database_sync_to_async(lambda: log.bounds().head)()
    async with asyncio.timeout(60):
        await asyncio.gather(*(watcher.catch_up(head) for watcher in watchers))
    await database_sync_to_async(history.write_down)()

    assert {event.id for event in history.numbered.values()} == history.committed
    assert not history.committed & history.undone
    assert sorted(history.numbered) == list(range(1, head + 1))
    for watcher in watchers:
        watcher.check()
        assert watcher.place >= head
    said = f"{history.acts}, {len(history.committed)} events, {sum(len(w.runs) for w in watchers)} runs"
    print(said)  # noqa: T201 - for those who let it soak


def has_seen_all(history: History) -> bool:
    """Whether a run was one that proves something."""
    acts = history.acts.keys()
    wanted = {"prune", "new epoch", "watcher left", "closed with 4511"}
    return wanted <= acts and any(act.startswith("server ") for act in acts)


def all_numbered() -> bool:
    try:
        return not Event.objects.filter(seq__isnull=True).exists()
    finally:
        connections.close_all()
