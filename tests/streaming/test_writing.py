"""Turns at writing: as few tasks as do not have to wait."""

from __future__ import annotations

import asyncio
from typing import Any

from livereferrals.streaming import writing
from livereferrals.streaming.writing import Writers
from tests.waiting import eventually


class Turn:
    """Has one turn; the one with a gate waits there."""

    def __init__(self, done: list[Turn], gate: asyncio.Event | None = None) -> None:
        self.task: asyncio.Task[Any] | None = None
        self._done = done
        self._gate = gate

    async def write(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        if self._gate is not None:
            await self._gate.wait()
        self._done.append(self)


async def test_one_task_writes_for_all_who_need_not_wait() -> None:
    """performance, fan-out: no task a watcher and event"""
    done: list[Turn] = []
    writers, turns = Writers(), [Turn(done) for _ in range(1000)]
    for turn in turns:
        writers.add(turn)
    await eventually(lambda: done == turns)
    assert len({turn.task for turn in turns}) == 1


async def test_who_has_to_wait_holds_nobody_up() -> None:
    """feed-41: another task takes over; the first ends with the one that it waited for"""
    done: list[Turn] = []
    gate = asyncio.Event()
    first, slow, slower, last = turns = [Turn(done), Turn(done, gate), Turn(done, gate), Turn(done)]
    writers = Writers()
    for turn in turns:
        writers.add(turn)
    await eventually(lambda: done == [first, last])
    assert first.task is slow.task
    assert len({slow.task, slower.task, last.task}) == 3
    gate.set()
    await eventually(lambda: set(done) == set(turns))
    await eventually(lambda: all(turn.task is not None and turn.task.done() for turn in turns))


async def test_cancelled_turn_is_the_only_one_that_ends() -> None:
    """feed-8: a reader that takes nothing in is ended, and the rest get what is theirs"""
    done: list[Turn] = []
    stuck, last, later = Turn(done, asyncio.Event()), Turn(done), Turn(done)
    writers = Writers()
    for turn in (stuck, last):
        writers.add(turn)
    await eventually(lambda: stuck.task is not None)
    assert stuck.task is not None
    stuck.task.cancel()
    await eventually(lambda: done == [last])
    writers.add(later)
    await eventually(lambda: done == [last, later])
    assert stuck.task.cancelled()


async def test_others_get_the_loop_in_the_midst_of_a_long_round(monkeypatch: Any) -> None:
    """performance, fan-out: pings and hits go on meanwhile"""
    monkeypatch.setattr(writing, "SLICE_S", 0)
    done: list[Turn] = []
    seen: list[int] = []

    class Long(Turn):
        async def write(self, task: asyncio.Task[Any]) -> None:
            await super().write(task)
            asyncio.get_running_loop().call_soon(lambda: seen.append(len(done)))

    writers = Writers()
    for _ in range(20):
        writers.add(Long(done))
    await eventually(lambda: len(done) == 20)
    assert seen[0] < 20
