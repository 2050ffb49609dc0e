"""`FeedClient`: what a partner's program works with."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from livereferrals.client.address import TRANSPORTS, Wish, feed_address, rfc3339
from livereferrals.client.connections import make_session
from livereferrals.client.cursors import epoch, is_cursor, seq
from livereferrals.client.errors import Dropped
from livereferrals.client.ledger import Batch, Ledger
from livereferrals.client.line import Line, Plan, State
from livereferrals.client.messages import CaughtUp, Gap, Piece
from livereferrals.client.stores import MemoryCursorStore
from livereferrals.client.timing import Timing

if TYPE_CHECKING:
    import uuid
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from datetime import datetime

    import aiohttp

    from livereferrals.client.address import Transport
    from livereferrals.client.events import Event
    from livereferrals.client.stores import CursorStore

__all__ = ["FeedClient", "Lag", "State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How far a program is behind its feed."""

    events: int
    """Numbers between what is handled and the newest that the server has mentioned; some may be others' events."""
    seconds: float
    """For how many seconds it has been so; 0 while the feed is live and everything has been handed out."""


class FeedClient:
    """A partner's feed: every event at least once and in order, across restarts of either side.

    Use it in `async with`. Asking for the next event stores and acknowledges the one before, so an event whose handling
    raises, or at which the loop is left, comes again next time. `await feed.done()` says early that it is handled.

    Args:
        url: the feed's address, `https://shop.example/referrals/feed/v1`.
        token: the feed token. In its place `get_ticket`.
        get_ticket: a function, plain or async, that fetches a ticket for one connection.
        store: where the cursor is kept; by default in memory, which forgets it when the program ends.
        start: where to begin while the store is empty: `newest`, `oldest` or a cursor.
        since: in place of `start`, a time: begin before the first event from then on.
        types: event types; by default all that the token allows.
        links: ids of links; by default all.
        on_gap: what to do when events can no longer be had: `stop`, `oldest` (go on from the oldest that is left), or a
            function, plain or async, that gets a `Gap` and returns whether to go on.
        on_state: a plain function that is called with each new state.
        transport: `ws`, `sse` or `poll`; `auto` is `ws`.
        timing: the client's own numbers.
        chance: gives the random numbers from 0 to 1 that spread the reconnects of many clients.

    Raises:
        ValueError: one of these cannot be meant.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        get_ticket: Callable[[], str | Awaitable[str]] | None = None,
        store: CursorStore | None = None,
        start: str = "newest",
        since: datetime | str | None = None,
        types: Iterable[str] | None = None,
        links: Iterable[str | uuid.UUID] | None = None,
        on_gap: Literal["stop", "oldest"] | Callable[[Gap], bool | Awaitable[bool]] = "stop",
        on_state: Callable[[State], None] | None = None,
        transport: Transport = "auto",
        timing: Timing | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        _check(token=token, get_ticket=get_ticket, start=start, since=since, on_gap=on_gap, transport=transport)
        self._plan = Plan(
            address=feed_address(url),
            token=token,
            get_ticket=get_ticket,
            start=start,
            since=rfc3339(since),
            wish=Wish.of(types=types, links=links),
            on_gap=on_gap,
            on_state=on_state,
            transport=transport,
            timing=timing or Timing(),
            chance=chance,
        )
        self._ledger = Ledger(MemoryCursorStore() if store is None else store, acknowledge=self._acknowledge)
        self._session: aiohttp.ClientSession | None = None
        self._line: Line | None = None
        self._batch: Batch | None = None
        self._to_hand_out: deque[Event] = deque()
        self._in_hand: Event | None = None
        self._level_at = time.monotonic()

    # --- life ------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Load the cursor. The connection is made when the first event is asked for."""
        if self._session is not None:
            raise RuntimeError("This FeedClient is in use already; make another one.")
        await self._ledger.load()
        self._session = make_session()
        self._line = Line(self._plan, self._ledger, self._session)
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close; an event in hand that is not `done()` stays to be handled."""
        line, self._line = self._line, None
        session, self._session = self._session, None
        try:
            if line is not None:
                await line.aclose()
        finally:
            if session is not None:
                await session.close()

    @property
    def state(self) -> State:
        """`idle`, `connecting`, `greeting`, `catching_up`, `live`, `waiting` or `stopped`."""
        return "idle" if self._line is None else self._line.state

    @property
    def cursor(self) -> str | None:
        """What the store holds; everything up to here is handled."""
        return self._ledger.settled

    @property
    def lag(self) -> Lag:
        """How far the program is behind."""
        line, settled = self._line, self._ledger.settled
        newest = None if line is None else line.newest
        events = 0
        if newest is not None and settled is not None and epoch(newest) == epoch(settled):
            events = max(0, seq(newest) - seq(settled))
        if line is not None and line.is_level and not self._to_hand_out:
            self._level_at = time.monotonic()
        return Lag(events=events, seconds=time.monotonic() - self._level_at)

    # --- events one at a time --------------------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        """Begin with the event that was in hand when the last loop was left, if it is not done."""
        if self._in_hand is not None:
            self._to_hand_out.appendleft(self._in_hand)
            self._in_hand = None
        return self

    async def __anext__(self) -> Event:
        """Store and acknowledge the event before, then return the next one.

        Raises:
            FeedStopped: there is no next one, and somebody has to do something about it.
        """
        await self.done()
        while not self._to_hand_out:
            self._batch = await self._next_batch()
            self._to_hand_out.extend(self._batch.events)
        self._in_hand = self._to_hand_out.popleft()
        return self._in_hand

    async def done(self) -> None:
        """Store and acknowledge the event in hand, without asking for the next one."""
        if self._in_hand is None or self._batch is None:
            return
        if self._to_hand_out:
            await self._ledger.settle_part(self._batch, self._in_hand.cursor)
        else:
            await self._batch.done()
        self._in_hand = None

    # --- events in batches -----------------------------------------------------------------------------------------------

    async def batches(self) -> AsyncIterator[Batch]:
        """Give batches as they come; `await batch.done()` stores and acknowledges one and all before it.

        It begins with the batches that an earlier loop has left undone.

        Raises:
            FeedStopped: there is no next one, and somebody has to do something about it.
        """
        self._to_hand_out.clear()
        self._in_hand = None
        for batch in list(self._ledger.outstanding):
            yield batch
        while True:
            yield await self._next_batch()

    async def _next_batch(self) -> Batch:
        while True:
            line = self._line
            if line is None:
                raise RuntimeError("A FeedClient is used inside `async with`.")
            self._note_lag()
            message = await line.receive()
            if isinstance(message, CaughtUp):
                line.caught_up()
            elif isinstance(message, Piece):
                try:
                    batch = self._ledger.take(message)
                except Dropped as end:
                    await line.drop(end)
                    continue
                if batch is not None:
                    return batch
                await self._ledger.pass_over()

    def _note_lag(self) -> None:
        if self._line is not None and self._line.is_level:
            self._level_at = time.monotonic()

    def _acknowledge(self, cursor: str) -> None:
        if self._line is not None:
            self._line.acknowledge(cursor)


def _check(**given: Any) -> None:
    """Refuse what cannot be meant, with a word on what can."""
    if (given["token"] is None) == (given["get_ticket"] is None):
        raise ValueError("Give a token, or get_ticket: one of the two.")
    if given["transport"] not in TRANSPORTS:
        raise ValueError(f"transport is one of {', '.join(TRANSPORTS)}, not {given['transport']!r}")
    if given["transport"] == "poll" and given["get_ticket"] is not None:
        raise ValueError("A ticket opens one connection, and each poll is one: give a token.")
    if given["start"] not in {"newest", "oldest"} and not is_cursor(given["start"]):
        raise ValueError(f"start is newest, oldest or a cursor, not {given['start']!r}")
    if given["since"] is not None and given["start"] != "newest":
        raise ValueError("Give start or since, not both.")
    if given["on_gap"] not in {"stop", "oldest"} and not callable(given["on_gap"]):
        raise ValueError(f"on_gap is stop, oldest or a function, not {given['on_gap']!r}")
