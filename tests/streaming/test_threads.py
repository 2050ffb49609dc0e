"""Threads that keep their connections: what one learns of a database that was away, the others know too."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.db import OperationalError, connection

from livereferrals.streaming.threads import DatabaseThreads
from tests.waiting import DEADLINE_S

COUNT = 4
pytestmark = pytest.mark.django_db(transaction=True)


def is_connected(together: threading.Barrier) -> bool:
    """Say whether this thread has a connection, and see that it has one; in all threads at once."""
    together.wait(DEADLINE_S)
    found = connection.connection is not None
    connection.ensure_connection()
    return found


def find_it_cut() -> None:
    raise OperationalError("the server closed the connection unexpectedly")


def find_it_wrong() -> None:
    raise ValueError


async def test_connection_that_is_found_cut_has_all_threads_begin_anew() -> None:
    """feed-51: an outage sends one reader away, and not one for each thread"""
    pools = [DatabaseThreads("test-one", count=COUNT), DatabaseThreads("test-other", count=COUNT)]

    async def connected() -> set[bool]:
        together = threading.Barrier(COUNT * len(pools))
        return set(await asyncio.gather(*(pool.run(is_connected, together) for pool in pools for _ in range(COUNT))))

    assert await connected() == {False}
    assert await connected() == {True}
    with pytest.raises(ValueError):  # noqa: PT011 - it has no words
        await pools[0].run(find_it_wrong)
    assert await connected() == {True}
    with pytest.raises(OperationalError):
        await pools[0].run(find_it_cut)
    assert await connected() == {False}
    assert await connected() == {True}
