"""Looking again at the tokens that open connections live on, so that a revocation reaches them in every process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import TYPE_CHECKING

import django.db
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from livereferrals.events import hints
from livereferrals.streaming import reading, tokens
from livereferrals.streaming.models import FeedToken
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from livereferrals.streaming.streams import Watching

logger = logging.getLogger(__name__)

EVERY_S = 5.0
"""How often the tokens are read again; a revocation is promised within 10 s, also without a channel layer."""


async def check_forever(watchers: Callable[[], Sequence[Watching]]) -> None:
    """End the watchers whose tokens no longer hold; one query each time for all of them."""
    loop = asyncio.get_running_loop()
    hinted = asyncio.Event()

    def wake() -> None:
        # A loop that was closed under a hint of another thread has nobody left to wake.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(hinted.set)

    hints.add_listener(wake, about=hints.TOKENS)
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await hinted.wait()
            hinted.clear()
            serving = watchers()
            if serving:
                await _check(serving)
    finally:
        hints.remove_listener(wake, about=hints.TOKENS)


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


# --- the hint -------------------------------------------------------------------------------------------------------------


def connect() -> None:
    """Have every process look again when a token is changed or deleted, or its partner is."""
    for sender in (FeedToken, Partner):
        post_save.connect(_changed, sender=sender, dispatch_uid="livereferrals.tokens")
        post_delete.connect(_changed, sender=sender, dispatch_uid="livereferrals.tokens")


def _changed(*, using: str, created: bool = False, **_facts: object) -> None:
    if not created:
        transaction.on_commit(_tell, using=using, robust=True)


def _tell() -> None:
    hints.notify(hints.TOKENS)
    if hints.crosses_processes():
        # A channel layer that is away is not to hold up whoever revokes.
        threading.Thread(target=hints.announce, args=(hints.TOKENS,), daemon=True).start()
