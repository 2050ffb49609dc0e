"""Which events have come, which are in the owner's hands, and which are done: the client's rule (feed protocol, 5.2)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from livereferrals.client.cursors import epoch, is_later
from livereferrals.client.errors import Breach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livereferrals.client.events import Event
    from livereferrals.client.messages import Piece
    from livereferrals.client.stores import CursorStore


class Batch:
    """Events that belong together; `await batch.done()` when they are handled."""

    def __init__(self, events: tuple[Event, ...], cursor: str, *, settle: Callable[[Batch], Awaitable[None]]) -> None:
        self.events = events
        self.cursor = cursor
        """Everything up to here is in this batch or in those before it. It can lie beyond the last event."""
        self._settle = settle

    def __len__(self) -> int:
        return len(self.events)

    async def done(self) -> None:
        """Store the cursor, then acknowledge: this batch and all before it are handled. Twice is once."""
        await self._settle(self)


class Ledger:
    """The client's place, in the log and in its own store."""

    def __init__(self, store: CursorStore, *, acknowledge: Callable[[str], None]) -> None:
        self._store = store
        self._acknowledge = acknowledge
        self._storing = asyncio.Lock()
        self.position: str | None = None
        """Everything up to here has been received; a new connection goes on from here."""
        self.settled: str | None = None
        """Everything up to here is handled and stored."""
        self.outstanding: deque[Batch] = deque()
        """Batches that are in the owner's hands."""

    async def load(self) -> None:
        """Begin where the store says."""
        self.position = self.settled = await self._store.load()

    async def begin_at(self, cursor: str) -> None:
        """Take the server's word for the place: at the very first start, and after a gap that the owner has accepted.

        It is stored at once: a program that ends before its first event must not begin at another place next time.
        What was handed out before a gap is no longer this ledger's business.
        """
        if cursor != self.position:
            self.outstanding.clear()
            self.position = cursor
            await self.settle_to(cursor)

    def take(self, piece: Piece) -> Batch | None:
        """Return what is new in a piece as a batch, and move the position; nothing if nothing in it is new.

        Raises:
            Breach: there is a hole before it; the position stays.
        """
        place = self.position
        if place is None or epoch(piece.prev) != epoch(place) or is_later(piece.prev, place):
            raise Breach(f"there is a hole between {place} and {piece.prev}")
        fresh = tuple(event for event in piece.events if is_later(event.cursor, place))
        if is_later(piece.cursor, place):
            self.position = piece.cursor
        if not fresh:
            return None
        batch = Batch(fresh, piece.cursor, settle=self._settle)
        self.outstanding.append(batch)
        return batch

    async def pass_over(self) -> None:
        """Note that the position has moved without an event: it is handled when everything before it is."""
        if self.position is None:
            return
        if self.outstanding:
            self.outstanding[-1].cursor = self.position
        else:
            await self.settle_to(self.position)

    async def settle_to(self, cursor: str) -> None:
        """Store a cursor, if it is a later one, then acknowledge what is stored."""
        async with self._storing:
            before = self.settled
            if before is None or epoch(before) != epoch(cursor) or is_later(cursor, before):
                await self._store.save(cursor)
                self.settled = cursor
            if self.settled is not None:
                self._acknowledge(self.settled)

    async def settle_part(self, batch: Batch, cursor: str) -> None:
        """Store a place inside a batch that is in the owner's hands."""
        if batch in self.outstanding:
            await self.settle_to(cursor)

    async def _settle(self, batch: Batch) -> None:
        if batch not in self.outstanding:
            return
        await self.settle_to(batch.cursor)
        # Only now: if the store fails, the batch is still to be done.
        while batch in self.outstanding:
            self.outstanding.popleft()
