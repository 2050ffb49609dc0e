"""The channel layer: a message to ourselves, there and back."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from channels.layers import InMemoryChannelLayer, get_channel_layer

from livereferrals.management.diagnosis.findings import Finding, error, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

ABOUT: Final = "Channel layer"
WITHIN_S: Final = 5.0


def round_trip() -> Iterator[Finding]:
    """Send a message over the layer and wait for it."""
    layer: Any = get_channel_layer()
    if layer is None or isinstance(layer, InMemoryChannelLayer):
        word = "There is none" if layer is None else "It is in memory"
        yield ok(ABOUT, f"{word}: other processes look for new events by themselves, every second.")
        return
    name = f"{type(layer).__module__}.{type(layer).__qualname__}"
    try:
        took_ms = asyncio.run(_there_and_back(layer))
    except Exception as problem:  # the layer's own errors: redis', the network's
        logger.info("The channel layer failed.", exc_info=True)
        yield error(
            ABOUT,
            f"{name} does not carry a message: {type(problem).__name__} {problem}".strip(),
            advice="Is the server of CHANNEL_LAYERS up, and reachable from here? Without it everything is up to a second late.",
        )
    else:
        yield ok(ABOUT, f"{name} carries a message there and back in {took_ms:.1f} ms.")


async def _there_and_back(layer: Any) -> float:
    """Return how many milliseconds it took."""
    began = time.perf_counter()
    try:
        async with asyncio.timeout(WITHIN_S):
            channel = await layer.new_channel()
            await layer.send(channel, {"type": "livereferrals.doctor"})
            await layer.receive(channel)
        return (time.perf_counter() - began) * 1000
    finally:
        # The connections belong to this loop, which ends now.
        if hasattr(layer, "close_pools"):
            async with asyncio.timeout(WITHIN_S):
                await layer.close_pools()
