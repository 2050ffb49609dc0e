"""Hits that the event loop writes itself, on PostgreSQL: over sessions that come and go, and without a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import MethodType
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from livereferrals.events.models import Event
from livereferrals.events.sequencer import number_events
from livereferrals.exceptions import HitNotRecordedError
from livereferrals.tracking.desks import Limits
from livereferrals.tracking.group_commit import Attempt, HitGroup
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_link
from tests.tracking.drafting import make_draft
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.publisher_thread,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="sessions of a server"),
]

count_hits = sync_to_async(ReferralHit.objects.count)


def end_sessions(group: HitGroup) -> None:
    """End the group's sessions on the server: the loop's and the thread's."""
    writer: Any = group._hits._writer
    pids = [] if writer is None else [writer._connection.connection.info.backend_pid]
    pids += [each._session._pgconn.backend_pid for each in group._loops.values() if each and each._session]
    assert pids
    with connection.cursor() as cursor:
        for pid in pids:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


async def test_batch_is_one_transaction(group: HitGroup) -> None:
    """P2: visitors, hits and events of a whole batch"""
    link = await sync_to_async(make_link)()
    await sync_to_async(group._write)([Attempt(make_draft(link)) for _ in range(64)])

    def transactions() -> set[str]:
        with connection.cursor() as cursor:
            tables = [model._meta.db_table for model in (Visitor, ReferralHit, Event)]
            cursor.execute(" UNION ".join(f"SELECT xmin::text FROM {table}" for table in tables))  # noqa: S608 - our own
            return {xmin for (xmin,) in cursor.fetchall()}

    assert len(await sync_to_async(transactions)()) == 1
    assert await count_hits() == 64


async def test_lost_connection_costs_no_hit(group: HitGroup) -> None:
    """L-27: of the server that was restarted, or of a pooler"""
    link = await sync_to_async(make_link)()
    visitor = (await group.record(make_draft(link))).visitor_id
    drafts = [make_draft(link), make_draft(link, visitor=visitor), make_draft(link, visitor=visitor), make_draft(link)]
    drafts.append(make_draft(link))  # of the loop and of the thread, which takes over
    for draft in drafts:
        await sync_to_async(end_sessions)(group)
        await group.record(draft)
    assert await count_hits() == 6
    assert not group.losses.count


async def test_pooler_without_prepared_statements_costs_no_hit(
    group: HitGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L-11: another session than the one that has prepared, asked by the loop and by the thread"""
    from livereferrals.tracking.writing_postgres import Statement

    link = await sync_to_async(make_link)()
    visitor = (await group.record(make_draft(link))).visitor_id
    for more in ({}, {"visitor": visitor}):
        monkeypatch.setattr(Statement, "may_prepare", True)
        await group.record(make_draft(link, **more))
        await sync_to_async(end_preparing)(group)
        for _ in range(3):
            await group.record(make_draft(link, **more))
        assert not Statement.may_prepare
    assert await count_hits() == 9
    assert not group.losses.count


def end_preparing(group: HitGroup) -> None:
    """Have the group's sessions forget what they have prepared, as if they were others."""
    for each in group._loops.values():
        if each and each._session:
            each._session._statement.name = b"of_another_session"
    writer: Any = group._hits._writer
    if writer is not None:
        writer._statement.name = b"of_another_session"


async def test_hits_are_written_without_a_thread(group: HitGroup) -> None:
    """P2: a thread would take turns with the loop at the interpreter's lock"""
    link = await sync_to_async(make_link)()
    await asyncio.gather(*(group.record(make_draft(link)) for _ in range(20)))
    assert group._grouping._thread is None
    assert await count_hits() == 20


async def test_server_that_says_nothing_is_left_after_a_while() -> None:
    """L-27: the thread takes over under the same id, and the next hits have a new session; the old one may stay silent"""
    group = HitGroup(Limits(most=100, room=100, patience_s=2, look_s=1))
    link = await sync_to_async(make_link)()
    await group.record(make_draft(link))
    (on_loop,) = (each for each in group._loops.values() if each)
    silent = on_loop._session
    assert silent is not None
    silent._answered = MethodType(say_nothing, silent)  # type: ignore[method-assign] # a network that lost it
    await group.record(make_draft(link))
    assert on_loop._session is None
    await group.record(make_draft(link))
    assert on_loop._session is not silent
    assert await count_hits() == 3
    await asyncio.to_thread(group.close)
    await sync_to_async(number_events)()


async def test_time_on_the_loop_counts_where_the_thread_is_asked_too() -> None:
    """L-27: else a visitor would wait twice as long as it may where the whole server stands still"""
    group = HitGroup(Limits(most=100, room=100, patience_s=2, look_s=1))
    link = await sync_to_async(make_link)()
    await group.record(make_draft(link))
    (on_loop,) = (each for each in group._loops.values() if each)
    assert on_loop._session is not None
    on_loop._session._answered = MethodType(say_nothing, on_loop._session)  # type: ignore[method-assign] # as above
    released, write = threading.Event(), group._grouping._work

    def stand_still(attempts: Sequence[Attempt]) -> Any:
        released.wait(60)
        return write(attempts)

    group._grouping._work = stand_still
    asked = asyncio.create_task(group.record(make_draft(link)))
    try:
        (until,) = await eventually(lambda: group._grouping._desk().waiting.values())
        assert until <= asyncio.get_running_loop().time() + 1, "it waits for as long again, and not until the next look"
    finally:
        released.set()
    # Whether the answer still came in time is no matter here.
    with contextlib.suppress(HitNotRecordedError):
        await asked
    await asyncio.to_thread(group.close)
    assert await count_hits() == 2
    await sync_to_async(number_events)()


async def say_nothing(_session: object) -> None:
    """Wait for an answer that a network has lost."""
    await asyncio.Event().wait()


async def test_loop_that_ends_leaves_its_hits_to_the_thread(group: HitGroup) -> None:
    """L-10: what was asked for is written, though nobody waits for it any more"""
    link = await sync_to_async(make_link)()
    await group.record(make_draft(link))
    waiting = [asyncio.create_task(group.record(make_draft(link))) for _ in range(3)]
    await asyncio.sleep(0)
    (on_loop,) = (each for each in group._loops.values() if each)
    await asyncio.sleep(0)
    assert on_loop._task is not None
    on_loop._task.cancel()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await eventually(sync_to_async(lambda: ReferralHit.objects.count() == 4), timeout_s=60)
    await asyncio.to_thread(group.close)
    assert await count_hits() == 4
