"""What a worker says of its work: a line for each attempt, and how a backlog melts."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from livereferrals.callbacks import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from livereferrals.callbacks.calls import Job
    from livereferrals.callbacks.settling import Result

logger = logging.getLogger(__name__)

SAY_EVERY_S: Final = 10.0
BACKLOG_S: Final = 10.0
"""What has been due for longer when it starts is a backlog."""


class Progress:
    """Counts what one worker does; none of it asks the database."""

    def __init__(self) -> None:
        self.ended_in_all = 0
        self._ended = 0
        self._age_s = 0.0
        self._since = time.monotonic()

    def started(self, jobs: Iterable[Job]) -> None:
        """Note attempts that start."""
        for job in jobs:
            self._age_s = job.waited_s
            metrics.started(number=job.number, waited_s=job.waited_s)

    def ended(self, result: Result) -> None:
        """Note an attempt that has ended, with one line in the log; no address and no text of either side's in it."""
        self.ended_in_all += 1
        self._ended += 1
        job, reply = result.job, result.reply
        metrics.ended(reply.outcome, duration_ms=reply.duration_ms)
        if not logger.isEnabledFor(logging.INFO):
            return
        logger.info(
            "Callback %s, attempt %s: %s.",
            job.delivery,
            job.number,
            reply.outcome.value,
            extra={
                "action": "callback.attempted",
                "delivery": str(job.delivery),
                "subscription": job.endpoint,
                "attempt": job.number,
                "outcome": reply.outcome.value,
                "status": reply.status,
                "duration_ms": reply.duration_ms,
                "waited_s": round(job.waited_s, 3),
            },
        )

    def say(self, now: float) -> None:
        """Every 10 s, say how a backlog melts, if there is one."""
        passed = now - self._since
        if passed < SAY_EVERY_S:
            return
        if self._ended and self._age_s > BACKLOG_S:
            logger.info(
                "Working off a backlog: %s calls in %.0f s; what starts now has been due for %.0f s.",
                self._ended,
                passed,
                self._age_s,
                extra={"action": "backlog.melting", "calls": self._ended, "age_s": round(self._age_s)},
            )
        self._since, self._ended = now, 0
