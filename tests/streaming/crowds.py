"""Many raw clients at once, for what only a crowd shows."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from tests.streaming.clients import RawFeed, feed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import HostServer

CONNECTING = 40
"""Handshakes under way at once: a test shares the machine with its server."""
CROWD_LIMITS = {
    "connections_token": 10_000,
    "connections_partner": 10_000,
    "connects_minute": 100_000,
    "connects_burst": 100_000,
}
"""For servers that a test visits as a crowd with one token."""


@contextlib.asynccontextmanager
async def crowd(server: HostServer, token: str, count: int, **parameters: Any) -> AsyncIterator[list[RawFeed]]:
    """Hold `count` connections of one token open, each greeted."""
    gate = asyncio.Semaphore(CONNECTING)
    async with contextlib.AsyncExitStack() as stack:

        async def enter() -> RawFeed:
            async with gate:
                client = await stack.enter_async_context(feed(server, token, **parameters))
                await client.until("hello")
                return client

        yield list(await asyncio.gather(*(enter() for _ in range(count))))


async def endings(clients: list[RawFeed]) -> list[tuple[dict[str, Any] | None, int]]:
    """Return how each connection ends."""
    return list(await asyncio.gather(*(client.ending() for client in clients)))
