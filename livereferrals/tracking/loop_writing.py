"""Hits on PostgreSQL, written from the event loop itself: no thread takes turns with it at the interpreter's lock.

While one statement is on its way, the next hits gather, and share one too. Whatever goes wrong here, and hits that need a
look at the database before, are for the thread of `group_commit`, which knows how to try again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from typing import TYPE_CHECKING, Any, Final

from django.db import Error, connections, router
from psycopg import Error as PsycopgError
from psycopg import errors, pq

from livereferrals import ids
from livereferrals.tracking.desks import Asked, Desk
from livereferrals.tracking.drafts import Recorded
from livereferrals.tracking.grouping import IDLE_CLOSE_S
from livereferrals.tracking.hit_rows import rows_of, told
from livereferrals.tracking.models import ReferralHit
from livereferrals.tracking.writing_postgres import UNKNOWN_STATEMENT, Statement, check, state_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable, Sequence

    from livereferrals.events import direct
    from livereferrals.tracking.desks import Limits
    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.hit_rows import HitRow

logger = logging.getLogger(__name__)

TROUBLES: Final = (Error, PsycopgError, OSError)
"""What a database says, or its absence."""


class LoopHits:
    """The hits of one event loop. All methods are called on it, but `close`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: Limits,
        tell: Callable[[Sequence[uuid.UUID], int | None], Awaitable[None]],
        abandon: Callable[[HitDraft, uuid.UUID | None], None],
    ) -> None:
        """Begin nothing yet: the first hit connects.

        Args:
            loop: which runs the calls.
            limits: how much is taken on.
            tell: called with the hits of each statement, once they are answered, and with how many of their events have
                numbers, or nothing if they wait for them; the next one waits for it.
            abandon: takes a hit that nobody waits for any more, and whose id if it may be there already.
        """
        self._limits = limits
        self._tell = tell
        self._abandon = abandon
        self._desk = Desk(loop, limits)
        self._waiting: list[Asked] = []
        self._task: asyncio.Task[None] | None = None
        self._session: Session | None = None
        self._numbered: int | None = 0
        self._idle: asyncio.TimerHandle | None = None

    async def record(self, draft: HitDraft) -> Recorded | uuid.UUID:
        """Return when the hit is committed. A caller that is cancelled does not take its hit back.

        Returns:
            The hit; only its id if the thread is to see to it, as it may have been written or not.

        Raises:
            NoRoomError: too many wait, and go on to.
            LateError: the database has not answered in time.
        """
        if self._is_full():
            await self._desk.room(self._is_full)
        future = self._desk.wait()
        self._waiting.append(Asked(draft, future, self._desk))
        if self._task is None:
            # The task begins when everybody who can go on now has had a turn, so that they share a statement.
            self._task = self._desk.loop.create_task(self._work())
        answer: Recorded | uuid.UUID = await future
        return answer

    def close(self) -> None:
        """Give what waits to the thread, and the connection back; for a process that ends, or a test."""
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            self._abandon(asked.item, None)
        self._drop()

    # --- gathering --------------------------------------------------------------------------------------------------------

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._limits.room

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = [asked for asked in self._waiting[: self._limits.most] if asked.is_wanted]
                del self._waiting[: self._limits.most]
                if self._desk.wants_room:
                    self._desk.make_room()
                if group:
                    await self._serve(group)
        finally:
            self._task = None
            self._rest()

    async def _serve(self, group: Sequence[Asked]) -> None:
        hits = [ids.new_uuid() for _ in group]
        try:
            answers = await self._written([asked.item for asked in group], hits)
        except asyncio.CancelledError:  # the loop ends
            self._drop()
            for asked, hit in zip([*group, *self._waiting], [*hits, *[None] * len(self._waiting)], strict=True):
                self._abandon(asked.item, hit)
            self._waiting.clear()
            raise
        for asked, answer in zip(group, answers, strict=True):
            if not isinstance(answer, Recorded) and asked.future is not None and asked.future.cancelled():
                self._abandon(asked.item, answer)
        self._desk.settle(group, answers)
        if recorded := [answer.hit_id for answer in answers if isinstance(answer, Recorded)]:
            try:
                await self._tell(recorded, self._numbered)
            except Exception:  # the answers are out, and the next hits depend on this task
                logger.exception("What follows hits failed.", extra={"action": "hits.untold"})

    async def _written(self, drafts: Sequence[HitDraft], hits: Sequence[uuid.UUID]) -> Sequence[Recorded | uuid.UUID]:
        try:
            rows = rows_of(drafts, hits=hits, last_follows={})
            # Whoever waits has been answered by then; a server that went without a word is not to be waited for.
            async with asyncio.timeout(self._limits.patience_s):
                if self._session is None:
                    self._session = await Session.opened(self._desk.loop)
                self._numbered = told(rows, await self._session.insert(rows))
        except TROUBLES as trouble:
            # The thread writes them one by one and says which one it was, or that the database is away.
            logger.info("Hits are left to the thread: %s", trouble, extra={"action": "hits.elsewhere"})
            self._drop()
        except Exception:  # of a row that cannot even be made; the others are not to pay for it
            logger.exception("A batch of hits cannot be made.", extra={"action": "hit.unmakable"})
            self._drop()
        else:
            return [Recorded(row.hit, row.visitor) for row in rows]
        return hits

    # --- the connection ---------------------------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Give the connection back after a while without hits: one timer, which looks when the last one was."""
        if self._idle is None and not self._desk.loop.is_closed():
            self._idle = self._desk.loop.call_later(IDLE_CLOSE_S, self._close_if_idle, self._session)

    def _close_if_idle(self, session: Session | None) -> None:
        self._idle = None
        if session is None or session is not self._session:
            return
        if self._task is not None or session.was_used:
            session.was_used = False
            self._rest()
        else:
            self._drop()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


class Session:
    """A connection of its own, asked without a thread."""

    def __init__(self, wrapper: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._statement = Statement(wrapper)
        self._pgconn: pq.abc.PGconn = wrapper.connection.pgconn
        self._pgconn.nonblocking = 1
        self.was_used = False
        # Whoever forgets it, as a loop that is closed does, leaves no session behind on the server.
        self.close = weakref.finalize(self, _close, wrapper, os.getpid())

    @classmethod
    async def opened(cls, loop: asyncio.AbstractEventLoop) -> Session:
        """Connect, as Django would; prepare the statement.

        Raises:
            django.db.Error: there is no database to be had.
        """
        wrapper = await asyncio.to_thread(_connected)
        try:
            session = cls(wrapper, loop)
            await session._prepare()
        except BaseException:
            wrapper._close()
            raise
        return session

    async def insert(self, rows: Sequence[HitRow]) -> direct.State | None:
        """Write the rows in one transaction; return the log as it was before, if that has numbered their events.

        Raises:
            psycopg.Error: the server refuses them, or is gone; then nothing more can be asked here.
        """
        self.was_used = True
        values = self._statement.values(rows, may_number=True)
        if self._statement.is_prepared:
            self._pgconn.send_query_prepared(self._statement.name, values)
        else:
            self._pgconn.send_query_params(self._statement.sql, values)
        try:
            return state_of(await self._answered())
        except errors.lookup(UNKNOWN_STATEMENT):
            self._statement.give_up_preparing()
            raise

    async def _prepare(self) -> None:
        if Statement.may_prepare:
            self._pgconn.send_prepare(self._statement.name, self._statement.sql)
            await self._answered()
            self._statement.is_prepared = True

    async def _answered(self) -> pq.abc.PGresult:
        """Wait for the answer to what was sent, in the manner of libpq's documentation, chapter 32.4."""
        connection, results = self._pgconn, []
        while connection.flush():
            await self._until(self._loop.add_writer, self._loop.remove_writer)
            connection.consume_input()
        while True:
            while connection.is_busy():
                await self._until(self._loop.add_reader, self._loop.remove_reader)
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                break
            results.append(result)
        return [check(result) for result in results][-1]

    async def _until(self, watch: Callable[..., Any], unwatch: Callable[[int], Any]) -> None:
        socket, ready = self._pgconn.socket, self._loop.create_future()
        watch(socket, _set, ready)
        try:
            await ready
        finally:
            unwatch(socket)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _connected() -> Any:
    """Return a connected wrapper of Django's that is nobody else's."""
    wrapper = connections[router.db_for_write(ReferralHit)].copy()
    wrapper.inc_thread_sharing()  # it is opened in a thread, because that waits, and used on the loop
    wrapper.connect()
    return wrapper


def _close(wrapper: Any, pid: int) -> None:
    if pid != os.getpid():
        return  # a forked child: the session is its parent's
    pgconn = wrapper.connection.pgconn
    if pgconn.status == pq.ConnStatus.OK:
        pgconn.nonblocking = 0  # a pool wants it back as it was
    wrapper._close()  # not `close`, which refuses to be called on an event loop; this one waits for nothing
