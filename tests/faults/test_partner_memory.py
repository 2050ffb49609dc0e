"""What a partner's server can make a worker hold in memory, and how much of an answer it takes at all."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from livereferrals.callbacks.outcomes import Outcome
from tests.callbacks.sending import make_job, send
from tests.faults.misdeeds import EARLY_HINTS, MIB, HugeBody, gzip_bomb, many_headers, repeats, response, sends
from tests.partner import Answer, partner_sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.once

PAGE: Final = 4096
CALLS: Final = 5
FLOOD_S: Final = 4
"""How long a call may take; of the floods here hints alone go on for as long."""
MOST_A_CALL: Final = 3_000_000
"""One read of a flood of early hints is some thousand small objects, all at once and then gone."""
FLOODS: Final = {
    "gzip bomb": Answer(headers={"content-encoding": "gzip"}, body=gzip_bomb(300 * MIB)),
    "20,000 headers": sends(many_headers(20_000)),
    "100 KB header": sends(response(b"HTTP/1.1 200 OK", b"X-A: " + b"a" * 100_000)),
    "hints for ever": repeats(EARLY_HINTS * 1000),
    "endless chunks": repeats(b"1\r\nx\r\n" * 1000, after=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
}


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@contextlib.asynccontextmanager
async def highest_memory() -> AsyncIterator[list[int]]:
    """Watch how far memory grows while the block runs; the list has the growth at its end."""
    gc.collect()
    before = resident()
    highest = [before]

    async def watch() -> None:
        while True:
            highest.append(resident())
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    growth: list[int] = []
    try:
        yield growth
    finally:
        watching.cancel()
        growth.append(max(highest) - before)


@pytest.fixture
async def _warm() -> None:
    """Make what a first call makes: modules, buffers, the certificates of the system."""
    with partner_sink() as sink:
        for _ in range(3):
            await send(make_job(sink.url()))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.usefixtures("_warm")
async def test_body_of_200_mib_is_left_unread() -> None:
    """callback-F6: less than 1 MB of it is taken, and memory grows by less than 5 MB."""
    body = HugeBody(200 * MIB)
    with partner_sink() as sink:
        sink.default = body.answer
        async with highest_memory() as growth:
            reply = await send(make_job(sink.url(), timeout_s=30))
    assert reply.outcome is Outcome.OK
    assert 4096 <= body.sent < 1_000_000
    assert growth[0] < 5_000_000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize("name", FLOODS)
async def test_flood_does_not_grow_memory(name: str) -> None:
    """callback-F7, callback-F9, callback-F10, callback-S20: five at once, however long it goes on."""
    with partner_sink() as sink:
        sink.default = FLOODS[name]
        async with highest_memory() as growth:
            replies = await asyncio.gather(*(send(make_job(sink.url(), timeout_s=FLOOD_S)) for _ in range(CALLS)))
    # A busy machine may not get to accept one of them within the time; then that one says nothing.
    reached = [reply.outcome for reply in replies if reply.outcome is not Outcome.TIMEOUT_CONNECT]
    assert len(reached) > CALLS // 2
    assert set(reached) <= {Outcome.OK, Outcome.PROTOCOL, Outcome.DISCONNECTED, Outcome.TIMEOUT}
    assert growth[0] < CALLS * MOST_A_CALL
