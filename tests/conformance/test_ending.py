"""Processes that end, under their clients (feed protocol, 13)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conformance.conftest import Target
    from tests.conformance.driver import Driver
    from tests.conformance.following import Ended, Reader

CLIENTS = 4


@pytest.mark.parametrize("hard", [False, True], ids=["sigterm", "sigkill"])
async def test_process_that_ends_loses_nothing(target: Target, driver: Driver, hard: bool) -> None:
    """feed-48, feed-49: a goodbye and 4000, or silence; each client has the rest when it comes back"""
    sent = await driver.append(10)
    try:
        readers, endings = await read_to_the_end(target, driver, hard=hard)
    finally:
        await driver.start()
    sent += await driver.append(5)
    for reader, ended in zip(readers, endings, strict=True):
        if not hard:
            assert (ended.problem["type"], ended.close) == ("goodbye", 4000)
            assert ended.problem["retry_after_s"] >= 0
        async with target.read("ws", cursor=reader.position) as again:
            await again.until_events(len(sent) - len(reader.ids()))
        assert [*reader.ids(), *again.ids()] == sent


async def read_to_the_end(target: Target, driver: Driver, *, hard: bool) -> tuple[list[Reader], list[Ended]]:
    """Connect some clients, end the process, and return them with how it ended for each."""
    async with asyncio.TaskGroup() as group:
        ready = asyncio.Barrier(CLIENTS + 1)
        tasks = [group.create_task(until_gone(target, ready)) for _ in range(CLIENTS)]
        await ready.wait()
        await driver.stop(hard=hard)
    results = [task.result() for task in tasks]
    return [reader for reader, _ in results], [ended for _, ended in results]


async def until_gone(target: Target, ready: asyncio.Barrier) -> tuple[Reader, Ended]:
    """Read until the process ends."""
    async with target.read("ws", cursor="oldest") as reader:
        await reader.ready()
        await ready.wait()
        return reader, await reader.until_ended(within_s=60)
