"""The rounds of a worker: look, read, turn, release, and the attempts that run meanwhile (callbacks, section 4)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from django.db import close_old_connections

from livereferrals import conf
from livereferrals.callbacks import clock, faults, housekeeping, leasing, metrics, reading, turns, wanting
from livereferrals.callbacks.attempting import Attempt
from livereferrals.callbacks.owning import Known
from livereferrals.callbacks.progress import Progress
from livereferrals.callbacks.serving import Board
from livereferrals.callbacks.setting_aside import is_about_data, settle_one_by_one
from livereferrals.callbacks.timetable import POLL_S, Timetable
from livereferrals.events import publisher

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from livereferrals.callbacks.calls import Job
    from livereferrals.callbacks.leasing import Leased
    from livereferrals.callbacks.notices import Notice
    from livereferrals.callbacks.reading import Found
    from livereferrals.callbacks.sender import Sender
    from livereferrals.callbacks.settling import Result
    from livereferrals.callbacks.threads import WorkThread
    from livereferrals.callbacks.turns import Turn

BUSY_RESULTS: Final = 16  # in one turn make it a busy one: then what is new can wait for the next look
HOUSEKEEPING_S: Final = 10.0
BATCH: Final = 100  # results in one turn at most
BUSY_S: Final = 0.2  # pause before a row that somebody else has locked is tried again


class Rounds:
    """What a worker does again and again, and what it remembers from one round to the next."""

    def __init__(
        self,
        *,
        worker: str,
        database: WorkThread,
        sender: Sender,
        tell: Callable[[list[Notice]], None],
        rouse: Callable[[], None],
        slots: int | None = None,
        only: int | None = None,
    ) -> None:
        self._worker = worker
        self._database = database
        self._sender = sender
        self._tell = tell
        self._rouse = rouse
        self._only = only
        self._board = Board(slots=slots or conf.callbacks.CONCURRENCY, per_origin=conf.callbacks.PER_ORIGIN)
        self._clock = clock.Watch()
        self._known = Known()
        self.progress = Progress()
        self._attempts: dict[asyncio.Task[None], Attempt] = {}
        self._results: list[Result] = []
        self._unsent: dict[uuid.UUID, tuple[int, uuid.UUID]] = {}
        """Started and not sent: the endpoint and its lease, by delivery."""
        self._timetable = Timetable()
        self._settled = 0
        self._cleaned_at = self._searched_at = float("-inf")
        self._was_full = self._is_busy = False
        self._has_found = True

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._board.in_flight

    @property
    def is_done(self) -> bool:
        """Whether nothing was left to do at the last look."""
        return self.is_over and not self._has_found

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way, nothing is to be written and nothing is held."""
        return not (self._attempts or self._results or self._unsent or self._board.served)

    def pause(self) -> float:
        """Return how long there is nothing to do, unless something comes."""
        if self._is_busy:
            return BUSY_S
        if self._results or (self._board.free_slots and self._board.wishes(now=time.monotonic())):
            return 0.0
        return max(0.0, self._timetable.next_at - time.monotonic())

    async def round(self, *, is_hinted: bool) -> None:
        """Look for work if it is time, write and start what there is, give back what is done."""
        now = time.monotonic()
        if is_hinted:
            self._timetable.hint(is_busy=self._settled >= BUSY_RESULTS)
        if now >= self._timetable.next_at or (self._was_full and self._board.room > 0):
            await self._look(now, searches=now - self._searched_at >= POLL_S)
        elif more := self._board.hungry(only_more=True):
            await self._read(more)
        await self.settle()

    async def recover(self) -> None:
        """Part from a connection that is dead, after a round that failed, so that the next one gets a new one."""
        await self._database.call(close_old_connections)

    async def settle(self) -> None:
        """Write what ended, start what may start, and give back what is done."""
        await self._put_back()
        await self._turn()
        await self._release()
        metrics.stands(in_flight=self._board.in_flight, endpoints=len(self._board.served))
        self.progress.say(time.monotonic())

    def leave_all(self) -> None:
        """Start nothing more."""
        self._board.leave_all()

    async def cancel_attempts(self) -> None:
        """End what is under way: what has left us counts as tried, anything else goes back."""
        for task in self._attempts:
            task.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)

    # --- finding --------------------------------------------------------------------------------------------------------

    async def _look(self, now: float, *, searches: bool) -> None:
        """Take on what is due; `searches`: look for what dead processes have left too, which need not be done at every hint."""
        self._timetable.begin(now=now)
        faults.reach(faults.Point.LOOKING)
        if searches:
            await self._database.call(publisher.publish_left_behind)
        room, failing = self._board.room, self._board.room_for_failing
        leased = await self._database.call(lambda: self._lease(room, failing, searches=searches))
        if searches:
            self._searched_at = now
        faults.reach(faults.Point.LEASED)
        self._has_found = bool(leased.leases)
        self._board.add(leased.leases, now=time.monotonic())
        self._tell(leased.notices)
        self._was_full = room <= len(leased.leases) or len(leased.leases) >= leasing.AT_ONCE
        await self._read(self._board.hungry(), tests_of=list(self._board.served))
        # Not before it went well: else the next round has nothing to do, and looks like a database that is back.
        self._timetable.end(began=now, now=time.monotonic())
        if self._board.room <= 0:
            others_wait = await self._database.call(lambda: wanting.is_anything_waiting(only=self._only))
            self._board.let_go(now=time.monotonic(), others_wait=others_wait)
        if now - self._cleaned_at >= HOUSEKEEPING_S:
            self._cleaned_at = now
            await self._database.call(housekeeping.end_unsendable)

    @metrics.timed("lease")
    def _lease(self, room: int, failing: int, *, searches: bool) -> Leased:
        return leasing.lease(
            worker=self._worker,
            limit=room,
            failing=failing,
            only=self._only,
            watch=self._clock,
            looks_for_gone=searches,
        )

    async def _read(self, endpoints: list[int], *, tests_of: Sequence[int] = ()) -> None:
        if not (endpoints or tests_of):
            return

        @metrics.timed("read")
        def read() -> Found:
            return reading.read(endpoints, tests_of=tests_of)

        found = await self._database.call(read)
        for key, ready in found.due.items():
            self._board.served[key].add(ready)
        for key, ready in found.tests.items():
            self._board.served[key].add_tests(ready)
        faults.reach(faults.Point.READ)

    # --- writing --------------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        results, self._results = self._results[:BATCH], self._results[BATCH:]
        self._settled = len(results)
        self._is_busy = False
        wish = self._wish(results)
        if not wish.tokens:
            return
        try:
            done = await self._database.call(lambda: _turn(wish, self._known))
            faults.reach(faults.Point.TURNED)
        except Exception as error:
            # Whether the starts were committed is not known; that nothing of them was sent, is.
            for key, deliveries in wish.starts.items():
                self._unsent |= dict.fromkeys(deliveries, (key, wish.tokens[key]))
            if not is_about_data(error):
                self._results = results + self._results
                raise
            await self._settle_singly(results)
            return
        self._take_in(done, results)

    def _wish(self, results: list[Result]) -> turns.Wish:
        now = time.monotonic()
        wishes = self._board.wishes(now=now)
        below = turns.RENEW_BELOW.total_seconds()
        tokens = {result.job.endpoint: result.job.token for result in results}
        held = self._board.tokens()
        for key in (*tokens, *wishes, *self._board.due_for_renewal(now=now, below_s=below)):
            if key in held:
                tokens[key] = held[key]
        in_flight = {key: len(served.in_flight) for key, served in self._board.served.items()}
        return turns.Wish(
            tokens=tokens,
            results=results,
            starts=wishes,
            tests=self._board.tests(wishes),
            in_flight=in_flight,
            keeps=held.keys(),
        )

    async def _settle_singly(self, results: list[Result]) -> None:
        in_flight = {key: len(served.in_flight) for key, served in self._board.served.items()}
        try:
            every = await self._database.call(lambda: settle_one_by_one(results, in_flight=in_flight))
        except Exception:
            self._results = results + self._results
            raise
        for done, result in zip(every, results, strict=True):
            self._take_in(done, [result])

    def _take_in(self, done: Turn, results: list[Result]) -> None:
        self._is_busy = bool(done.busy)
        self._results = [result for result in results if result.job.endpoint in done.busy] + self._results
        self._board.learn(done)
        self._remember_dues(done)
        self._tell(done.notices)
        self.progress.started(done.jobs)
        for job in done.jobs:
            self._launch(job)

    def _remember_dues(self, done: Turn) -> None:
        if done.now is None:
            return
        now, gates = time.monotonic(), (stand.gate_until for stand in done.stands.values())
        ahead = ((moment - done.now).total_seconds() for moment in (*done.next_due, *gates) if moment is not None)
        self._timetable.remember(now + wait_s for wait_s in ahead if wait_s > 0)

    async def _put_back(self) -> None:
        if not self._unsent:
            return
        faults.reach(faults.Point.PUTTING_BACK)
        tokens = {delivery: token for delivery, (_, token) in self._unsent.items()}
        await self._database.call(lambda: leasing.release_unsent(tokens))
        for delivery in tokens:
            del self._unsent[delivery]

    async def _release(self) -> None:
        unsettled = {result.job.endpoint for result in self._results}
        unsettled |= {endpoint for endpoint, _ in self._unsent.values()}
        idle = self._board.pop_idle(unsettled=unsettled)
        if idle:
            faults.reach(faults.Point.RELEASING)
            await self._database.call(lambda: leasing.release(idle))
            faults.reach(faults.Point.RELEASED)

    # --- attempts -------------------------------------------------------------------------------------------------------

    def _launch(self, job: Job) -> None:
        served = self._board.served[job.endpoint]
        origin = self._board.start(job.endpoint, job.delivery, is_alone=job.lost > 0, now=time.monotonic())
        attempt = Attempt(job, worker=self._worker, lease_until=served.until, origin=origin)
        task = asyncio.create_task(attempt.run(self._sender))
        self._attempts[task] = attempt
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        attempt = self._attempts.pop(task)
        job = attempt.job
        if not task.cancelled() and (error := task.exception()) is not None:
            attempt.fail(error)
        answered = attempt.result is not None and attempt.result.reply.status is not None
        self._board.end(job.endpoint, job.delivery, origin=attempt.origin, answered=answered)
        if attempt.result is not None:
            self._results.append(attempt.result)
            self.progress.ended(attempt.result)
        else:
            self._unsent[job.delivery] = (job.endpoint, job.token)
        self._rouse()


@metrics.timed("turn")
def _turn(wish: turns.Wish, known: Known) -> Turn:
    return turns.turn(wish, known=known)
