"""One attempt at a delivery, from the started row to the result that is to be settled."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from livereferrals.callbacks import calls, checking, faults, masking
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Reply, Sender
from livereferrals.callbacks.settling import Result
from livereferrals.exceptions import InvalidCallBackURL, Unrenderable

if TYPE_CHECKING:
    from livereferrals.callbacks.calls import Call, Job

logger = logging.getLogger(__name__)

LEASE_MARGIN_S: Final = 5.0
"""What must be left of the lease beyond the time limit of the request."""


class Attempt:
    """An attempt under way; `result` is there once it has ended, and `None` if not a byte was sent."""

    def __init__(self, job: Job, *, worker: str, lease_until: float, origin: str) -> None:
        self.job = job
        self.origin = origin
        self.result: Result | None = None
        self._worker = worker
        self._lease_until = lease_until
        self._started_at = timezone.now()
        self._call: Call | None = None
        self._flight: Flight | None = None

    async def run(self, sender: Sender) -> None:
        """Make the attempt. Cancelled before anything was sent, it leaves no result: nothing has happened."""
        # By the monotonic clock, counted from before the statement that set the lease.
        if self._lease_until - time.monotonic() < self.job.timeout_s + LEASE_MARGIN_S:
            return
        try:
            reply = await self._reply(sender)
        except asyncio.CancelledError:
            if self._flight is not None and self._flight.has_left:
                self._end(Reply(outcome=Outcome.CANCELLED, error="ended by a shutdown after it was sent"))
            raise
        self._end(reply)
        faults.reach(faults.Point.ANSWERED, self.job.delivery)

    def fail(self, error: BaseException) -> None:
        """End with outcome `error`, unless there is a result: one delivery must not end the worker, whatever is in it."""
        told = masking.trace(error, self.job.secrets)
        logger.error("A callback could not be made.\n%s", told, extra={"action": "callback.error"})
        if self.result is None:
            # Not by way of the request: what failed may have been the showing of it.
            reply = Reply(outcome=Outcome.ERROR, error=f"{type(error).__name__}, see the log")
            self.result = Result(job=self.job, reply=reply, started_at=self._started_at, worker=self._worker)

    async def _reply(self, sender: Sender) -> Reply:
        if self.job.problem:
            return Reply(outcome=Outcome.ERROR, error=self.job.problem)
        faults.reach(faults.Point.RENDERING, self.job.delivery)
        try:
            rules = checking.rules()
            self._call = calls.prepare(self.job, rules=rules, at=self._started_at)
        except Unrenderable as error:
            return Reply(outcome=Outcome.UNRENDERABLE, error=str(error))
        except InvalidCallBackURL as error:
            return Reply(outcome=Outcome.BLOCKED, error=str(error.message))
        self._flight = Flight(origin=self._call.origin, rules=rules)
        faults.reach(faults.Point.STARTED, self.job.delivery)
        return await sender.send(self._call, self._flight)

    def _end(self, reply: Reply) -> None:
        call = self._call
        self.result = Result(
            job=self.job,
            reply=reply,
            started_at=self._started_at,
            worker=self._worker,
            url=call.shown_url() if call is not None else "",
            headers=call.shown_headers() if call is not None else {},
            body=call.shown_body() if call is not None else "",
        )
