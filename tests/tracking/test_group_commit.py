"""Hits that share a commit: durable when answered, each for itself, over a database that comes and goes."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, transaction

from livereferrals.events.models import Event
from livereferrals.events.publisher import publisher
from livereferrals.exceptions import HitNotRecordedError
from livereferrals.signals import hit_recorded
from livereferrals.tracking.desks import Limits
from livereferrals.tracking.drafts import Recorded
from livereferrals.tracking.group_commit import HitGroup, _tell_host
from livereferrals.tracking.models import ReferralHit, ReferralLink, Visitor
from livereferrals.tracking.writing import Hits, PlainWriter, _kind
from tests.factories import make_hit, make_link, make_user, make_visitor
from tests.tracking.drafting import make_draft
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoAssertNumQueries

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]


@pytest.fixture
def told() -> Iterator[list[dict[str, Any]]]:
    """What the host is told by `hit_recorded`, and in which thread."""
    heard: list[dict[str, Any]] = []

    def hear(sender: object, **kwargs: Any) -> None:
        heard.append({"sender": sender, "thread": threading.get_ident()} | kwargs)

    hit_recorded.connect(hear)
    yield heard
    hit_recorded.disconnect(hear)


def hits() -> int:
    return ReferralHit.objects.count()


count_hits = sync_to_async(hits)


async def test_hit_is_committed_when_it_is_answered(group: HitGroup) -> None:
    """L-10: others see hit, visitor and event"""
    link = await sync_to_async(make_link)()
    recorded = await group.record(make_draft(link))
    hit = await ReferralHit.objects.aget(pk=recorded.hit_id)
    assert hit.visitor_id == recorded.visitor_id
    assert (await Event.objects.aget()).data["hit"] == str(hit.pk)
    assert await Visitor.objects.acount() == 1


async def test_fifty_at_once_are_fifty_hits_and_numbered_soon(group: HitGroup) -> None:
    """L-11"""
    link = await sync_to_async(make_link)()
    recorded = await asyncio.gather(*(group.record(make_draft(link)) for _ in range(50)))
    assert len({each.hit_id for each in recorded}) == len({each.visitor_id for each in recorded}) == 50
    assert await count_hits() == 50
    await eventually(sync_to_async(lambda: Event.objects.filter(seq__isnull=False).count() == 50), timeout_s=60)


async def test_bad_row_costs_only_itself(group: HitGroup, caplog: pytest.LogCaptureFixture) -> None:
    """L-26: a link deleted between look-up and insert, in the middle of a batch"""
    good, bad = await sync_to_async(make_link)(), await sync_to_async(make_link)(identifier="gone1")
    drafts = [make_draft(good), make_draft(bad), make_draft(good)]
    await ReferralLink.objects.filter(pk=bad.pk).adelete()
    first, lost, third = await asyncio.gather(*map(group.record, drafts), return_exceptions=True)
    assert isinstance(first, Recorded)
    assert isinstance(third, Recorded)
    assert isinstance(lost, HitNotRecordedError)
    assert lost.reason == "refused"
    assert await count_hits() == await Visitor.objects.acount() == await Event.objects.acount() == 2
    assert group.losses.count == {"refused": 1}
    assert "'gone1' is lost" in caplog.text


async def test_client_that_goes_away_does_not_take_its_hit_back(group: HitGroup) -> None:
    """L-10"""
    link = await sync_to_async(make_link)()
    await group.record(make_draft(link))
    task = asyncio.create_task(group.record(make_draft(link)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(sync_to_async(lambda: hits() == 2), timeout_s=60)


def is_writing(group: HitGroup) -> bool:
    """Whether a hit is on its way to the database, and no longer waits in a queue."""
    on_loop = [each for each in group._loops.values() if each]
    return bool(on_loop and on_loop[0]._task and not on_loop[0]._waiting) or group._hits._connection is not None


async def test_hit_that_finds_no_room_is_lost_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """L-27: while the database is held up by somebody"""
    group = HitGroup(Limits(most=1, room=1, room_within_s=0.05, patience_s=60))
    link = await sync_to_async(make_link)(identifier="abc123")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            # On SQLite the transaction has the write lock by itself.
            if connection.vendor == "postgresql":
                connection.cursor().execute(f"LOCK TABLE {Visitor._meta.db_table} IN EXCLUSIVE MODE")
            held.set()
            release.wait(60)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    await asyncio.to_thread(held.wait, 60)
    tasks = [asyncio.create_task(group.record(make_draft(link)))]
    await eventually(lambda: is_writing(group), timeout_s=60)
    tasks += [asyncio.create_task(group.record(make_draft(link))) for _ in range(7)]
    await eventually(lambda: sum(task.done() for task in tasks) == 6, timeout_s=60)
    release.set()
    said = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.to_thread(holder.join)
    await asyncio.to_thread(group.close)
    lost = [each for each in said if isinstance(each, HitNotRecordedError)]
    assert {each.reason for each in lost} == {"overload"}
    assert (len(lost), await count_hits()) == (6, 2)
    assert "abc123" in caplog.text
    await eventually(lambda: group.losses.count == {"overload": 6})


def test_hit_whose_commit_was_not_heard_of_is_no_second_one() -> None:
    """L-10: the connection is lost between the commit and its answer"""
    link = make_link()

    class Deaf:
        """Writes, and loses the connection over it once."""

        def __init__(self) -> None:
            self.writer: Any = _kind(connection)(connection)
            self.is_deaf = True
            self.numbered: int | None = 0

        def write(self, *args: Any, **kwargs: Any) -> Any:
            rows = self.writer.write(*args, **kwargs)
            if self.is_deaf:
                self.is_deaf = False
                raise OperationalError("server closed the connection unexpectedly")
            return rows

    writing = Hits()
    writing.write([make_draft(link)])
    deaf = Deaf()
    writing._ready = lambda: deaf  # type: ignore[method-assign] # as a connection does
    outcomes = writing.write([make_draft(link), make_draft(link)])
    assert writing.numbered is None, "whether the lost one has numbered them is not known"
    assert {each.hit_id for each in outcomes if isinstance(each, Recorded)} <= set(
        ReferralHit.objects.values_list("pk", flat=True)
    )
    assert (len(outcomes), hits(), Event.objects.count()) == (2, 3, 3)


async def test_host_is_told_of_each_hit_off_the_loop(group: HitGroup, told: list[dict[str, Any]]) -> None:
    """`hit_recorded`: the same arguments as on the plain way, of a hit that stands"""
    link = await sync_to_async(make_link)()
    recorded = [await group.record(make_draft(link)) for _ in range(2)]
    await eventually(lambda: len(told) == 2, timeout_s=60)
    assert [call["hit"].pk for call in told] == [each.hit_id for each in recorded]
    first = told[0]
    assert first.keys() == {"sender", "signal", "thread", "hit", "link", "visitor", "user"}
    assert (first["sender"], first["link"], first["user"]) == (ReferralHit, link, None)
    assert first["visitor"].pk == recorded[0].visitor_id
    assert first["hit"].partner == link.partner
    assert first["thread"] != threading.get_ident()


def test_host_is_told_of_many_hits_by_one_query(
    told: list[dict[str, Any]], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """`hit_recorded`: who is logged in, and deleted a moment later, is not read one by one"""
    hits = [make_hit(visitor=make_visitor(user=make_user())) for _ in range(2)]
    with django_assert_num_queries(1):
        _tell_host([[hit.pk] for hit in hits])
    assert [call["user"] for call in told] == [hit.user for hit in hits]


async def test_error_in_a_receiver_of_the_host_touches_no_hit(
    group: HitGroup, told: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """`hit_recorded` is sent robustly"""

    def fail(sender: object, **kwargs: Any) -> None:
        raise ValueError("host's own")

    hit_recorded.connect(fail)
    try:
        link = await sync_to_async(make_link)()
        for _ in range(2):
            await group.record(make_draft(link))
        await eventually(lambda: len(told) == 2, timeout_s=60)
    finally:
        hit_recorded.disconnect(fail)
    assert "host's own" in caplog.text


async def test_hosts_own_fields_are_asked_for(group: HitGroup, settings: Any) -> None:
    """FEED_EVENT_FIELDS: inside the transaction, as on the plain way"""
    settings.LIVEREFERRALS = {
        "FEED_EVENT_FIELDS": lambda entry: {"there": ReferralHit.objects.filter(pk=entry.data["hit"]).exists()}
    }
    link = await sync_to_async(make_link)()
    await group.record(make_draft(link))
    assert isinstance(group._hits._writer, PlainWriter)
    assert (await Event.objects.aget()).data["extra"] == {"there": True}


@pytest.mark.django_db
def test_hit_inside_a_test_of_the_host_is_seen_by_it(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    """S-55: in its own transaction, and told of after its commit"""
    monkeypatch.setattr(publisher, "inline", True)
    link = make_link()
    group = HitGroup()
    with django_capture_on_commit_callbacks(execute=True):
        recorded = group._record_here(make_draft(link))
        assert told == []
    assert ReferralHit.objects.get().pk == recorded.hit_id
    assert [call["hit"].pk for call in told] == [recorded.hit_id]
    assert Event.objects.get().seq == 1


async def test_visitor_of_somebody_is_not_used_and_a_known_one_is(group: HitGroup) -> None:
    """V-02, V-04, V-12"""
    link = await sync_to_async(make_link)()
    anns = await sync_to_async(make_visitor)(user=await sync_to_async(make_user)())
    assert (await group.record(make_draft(link, visitor=anns.pk))).visitor_id != anns.pk
    first = await group.record(make_draft(link))
    second = await group.record(make_draft(link, visitor=first.visitor_id))
    assert second.visitor_id == first.visitor_id
    assert (await ReferralHit.objects.aget(pk=second.hit_id)).repeat
