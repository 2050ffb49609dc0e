"""Looking again at the tokens that open connections live on, so that a revocation reaches them in every process."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import django.db

from livereferrals.streaming import reading, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from livereferrals.streaming.streams import Watching

logger = logging.getLogger(__name__)

EVERY_S = 5.0
"""How often the tokens are read again; a revocation is promised within 10 s, also without a channel layer."""


async def check_forever(watchers: Callable[[], Sequence[Watching]]) -> None:
    """End the watchers whose tokens no longer hold; one query each time for all of them."""
    while True:
        await asyncio.sleep(EVERY_S)
        serving = watchers()
        if serving:
            await _check(serving)


async def _check(serving: Sequence[Watching]) -> None:
    grants = {watcher.grant for watcher in serving}
    try:
        refusals = await reading.in_hub_thread(tokens.recheck, list(grants))
    except django.db.Error:
        # The hub's own reading sees the same, and ends the watchers if it lasts.
        logger.debug("Tokens could not be read again.", exc_info=True)
        return
    for watcher in serving:
        if (refusal := refusals.get(watcher.grant)) is not None:
            watcher.end(refusal)
