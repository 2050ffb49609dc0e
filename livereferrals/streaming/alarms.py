"""A timer that is set anew all the time and seldom rings."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Alarm:
    """Calls at the time that it was set to, or somewhat earlier: one that is set is not put off each time."""

    __slots__ = ("_call", "_timer")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is going to call."""
        return self._timer is not None

    def set(self, at: float) -> None:
        """Call at this time of the monotonic clock, or before."""
        loop = asyncio.get_running_loop()
        when = loop.time() + at - time.monotonic()
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._ring)

    def clear(self) -> None:
        """Do not call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._call()
