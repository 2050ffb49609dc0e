"""Sends the signals of results in a thread of their own: a slow receiver delays no delivery."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from django.db import close_old_connections

from livereferrals import signals
from livereferrals.callbacks.models import Delivery
from livereferrals.callbacks.notices import send_signals
from livereferrals.callbacks.threads import WorkThread
from livereferrals.callbacks.watching import Watch
from livereferrals.events.parting import part

if TYPE_CHECKING:
    from livereferrals.callbacks.notices import Notice

logger = logging.getLogger(__name__)

LONGEST_QUEUE: Final = 1000
"""Batches that may wait for slow receivers."""
FINISH_S: Final = 5.0


class Teller:
    """Tells the host's receivers of results, one batch after the other."""

    def __init__(self) -> None:
        self._thread = WorkThread("livereferrals-callbacks-signals")
        self._watch = Watch()
        self._is_dropping = False

    def tell(self, notices: list[Notice]) -> None:
        """Send the signals and alerts of these results soon; returns at once. Nothing happens without receivers."""
        self._watch.notice(notices)
        if not notices or not _is_anybody_listening():
            return
        is_full = self._thread.backlog >= LONGEST_QUEUE
        if is_full and not self._is_dropping:
            logger.error("Receivers of callback signals are too slow: signals are left out.")
        self._is_dropping = is_full
        if not is_full:
            self._thread.submit(lambda: _send(notices))

    async def aclose(self) -> None:
        """Wait a little for receivers under way, and end."""
        await self._watch.aclose()
        try:
            async with asyncio.timeout(FINISH_S):
                await self._thread.call(part)
        except TimeoutError:
            logger.warning("Receivers of callback signals are left behind.", extra={"action": "signal.left"})
        self._thread.close()


def _is_anybody_listening() -> bool:
    return signals.callback_delivered.has_listeners(Delivery) or signals.callback_failed.has_listeners(Delivery)


def _send(notices: list[Notice]) -> None:
    send_signals(notices)
    close_old_connections()
