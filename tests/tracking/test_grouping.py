"""Work in groups: who shares, who waits, who is given up, and what outlives whom."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from livereferrals.tracking.desks import LateError, Limits, NoRoomError
from livereferrals.tracking.grouping import Grouping
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.once


class Bench:
    """Work that stops until it is let go, and notes its groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.go = threading.Event()
        self.afterwards: list[list[object]] = []

    def work(self, items: Sequence[int]) -> list[int | Exception]:
        """Answer with the number itself; even the thread that works on it is not to wait for ever."""
        self.groups.append(list(items))
        assert self.go.wait(60)
        if 0 in items:
            raise ValueError("zero")
        return [ValueError("odd") if item == 13 else item for item in items]

    def grouping(self, **limits: float) -> Grouping[int, int]:
        """Return a grouping over this bench."""
        wanted = Limits(**{"most": 4, "room": 100} | limits)  # type: ignore[arg-type]
        return Grouping(
            "tests-bench", self.work, limits=wanted, afterwards=lambda found: self.afterwards.append([*found])
        )


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench, which is let go in the end."""
    made = Bench()
    yield made
    made.go.set()


async def held(bench: Bench, grouping: Grouping[int, int]) -> asyncio.Task[int]:
    """Begin with a group of one, and return when it is being worked on."""
    first = asyncio.create_task(grouping.ask(1))
    await eventually(lambda: bench.groups == [[1]])
    return first


async def test_what_comes_meanwhile_makes_the_next_groups(bench: Bench) -> None:
    """L-10: in the order of coming, and never more than fit"""
    grouping = bench.grouping()
    first = await held(bench, grouping)
    others = [asyncio.create_task(grouping.ask(number)) for number in range(2, 8)]
    await eventually(lambda: grouping.backlog == 6)
    bench.go.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3, 4, 5, 6, 7]
    assert bench.groups == [[1], [2, 3, 4, 5], [6, 7]]
    await eventually(lambda: bench.afterwards == bench.groups)
    grouping.close()


async def test_one_that_fails_alone_is_raised_to_the_one_who_asked(bench: Bench) -> None:
    """L-26: and a group that fails as a whole ends nothing"""
    grouping = bench.grouping()
    bench.go.set()
    assert await grouping.ask(2) == 2
    with pytest.raises(ValueError, match="odd"):
        await grouping.ask(13)
    with pytest.raises(ValueError, match="zero"):
        await grouping.ask(0)
    assert await grouping.ask(3) == 3
    grouping.close()


async def test_one_who_goes_away_does_not_take_the_item_back(bench: Bench) -> None:
    """L-10: neither before its turn nor after"""
    grouping = bench.grouping()
    first = await held(bench, grouping)
    waiting = asyncio.create_task(grouping.ask(2))
    await eventually(lambda: grouping.backlog == 1)
    for task in (first, waiting):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    bench.go.set()
    await eventually(lambda: bench.afterwards == [[1], [2]])
    grouping.close()


async def test_full_queue_is_waited_for_and_then_refused(bench: Bench) -> None:
    """L-27: nobody waits without end, and nothing is kept without bound"""
    grouping = bench.grouping(room=2, room_within_s=0.05)
    first = await held(bench, grouping)
    waiting = [asyncio.create_task(grouping.ask(number)) for number in (2, 3)]
    await eventually(lambda: grouping.backlog == 2)
    with pytest.raises(NoRoomError):
        await grouping.ask(4)
    bench.go.set()
    assert await asyncio.gather(first, *waiting) == [1, 2, 3]
    grouping.close()


async def test_room_that_comes_in_time_is_taken(bench: Bench) -> None:
    """L-27: a burst only waits"""
    grouping = bench.grouping(room=1, room_within_s=30)
    first = await held(bench, grouping)
    others = [asyncio.create_task(grouping.ask(number)) for number in range(2, 9)]
    await eventually(lambda: grouping.backlog == 1)
    bench.go.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3, 4, 5, 6, 7, 8]
    grouping.close()


async def test_answer_that_does_not_come_is_given_up_and_its_item_left_out(bench: Bench) -> None:
    """L-27: a visitor is led on; what had not begun is not done behind its back"""
    grouping = bench.grouping(patience_s=0.05, look_s=0.02)
    first = await held(bench, grouping)
    late = asyncio.create_task(grouping.ask(2))
    for task in (first, late):
        with pytest.raises(LateError):
            await task
    bench.go.set()
    await eventually(lambda: bench.afterwards == [[1]])
    grouping.close()
    assert bench.groups == [[1]]


async def test_closing_works_off_what_is_queued(bench: Bench) -> None:
    """L-10: a process that ends in order; what comes afterwards begins anew"""
    grouping = bench.grouping()
    first = await held(bench, grouping)
    others = [asyncio.create_task(grouping.ask(number)) for number in range(2, 8)]
    await eventually(lambda: grouping.backlog == 6)
    bench.go.set()
    await asyncio.to_thread(grouping.close)
    assert [number for group in bench.groups for number in group] == [1, 2, 3, 4, 5, 6, 7]
    assert await asyncio.gather(first, *others) == [1, 2, 3, 4, 5, 6, 7]
    assert await grouping.ask(8) == 8
    grouping.close()


def test_loops_of_several_threads_share_groups(bench: Bench) -> None:
    """L-11: each gets its own answers"""
    grouping = bench.grouping(most=100)
    bench.go.set()
    found: list[list[int]] = []

    async def ask(base: int) -> None:
        found.append(await asyncio.gather(*(grouping.ask(base + number) for number in range(20))))

    threads = [threading.Thread(target=asyncio.run, args=(ask(base),)) for base in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[base + number for number in range(20)] for base in (100, 200, 300)]
    grouping.close()
