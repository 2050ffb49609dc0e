"""The line to the server over many connections: who connects, greets, waits and comes back (feed protocol, 14)."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import aiohttp

from livereferrals.client.address import Credential, Wish
from livereferrals.client.connections import Opening, unreachable
from livereferrals.client.cursors import is_cursor
from livereferrals.client.errors import Breach, Dropped, FeedStopped
from livereferrals.client.messages import Gap, Hello
from livereferrals.client.reception import Reception, connect
from livereferrals.client.stores import settled
from livereferrals.client.timing import Timing, pause_before

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livereferrals.client.address import Transport
    from livereferrals.client.connections import Connection
    from livereferrals.client.ledger import Ledger
    from livereferrals.client.messages import Message

logger = logging.getLogger(__name__)

State = Literal["idle", "connecting", "greeting", "catching_up", "live", "waiting", "stopped"]
GAP_CODES = frozenset({"cursor_too_old", "other_epoch"})
UNAUTHORISED = 4501


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the owner wants."""

    address: str
    token: str | None = field(repr=False)
    get_ticket: Callable[[], str | Awaitable[str]] | None
    start: str
    since: str | None
    wish: Wish
    on_gap: Literal["stop", "oldest"] | Callable[[Gap], bool | Awaitable[bool]]
    on_state: Callable[[State], None] | None
    transport: Transport
    timing: Timing
    chance: Callable[[], float] = field(repr=False)


class Line:
    """Gives message after message, across connections, until the feed stops."""

    def __init__(self, plan: Plan, ledger: Ledger, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._ledger = ledger
        self._session = session
        self._reception: Reception | None = None
        self._stopped: FeedStopped | None = None
        self._failures = 0
        self._wait_until = 0.0
        self._live_since: float | None = None
        self._has_renewed = False
        self._passes: Gap | None = None
        """The gap that the owner has agreed to pass."""
        self._newest: str | None = None
        self.state: State = "idle"

    async def receive(self) -> Message:
        """Return the next message; connect and come back as often as it takes.

        Raises:
            FeedStopped: coming back would not help.
        """
        while True:
            if self._stopped is not None:
                raise self._stopped
            try:
                if self._reception is None:
                    self._reception = await self._reconnect()
                return await self._reception.next()
            except Dropped as end:
                await self.drop(end)

    async def drop(self, end: Dropped) -> None:
        """Give the connection up, and decide what comes then."""
        await self.hang_up()
        now = time.monotonic()
        if self._live_since is not None and now - self._live_since >= self._plan.timing.steady_s:
            self._failures = 0
            self._has_renewed = False
        self._live_since = None
        if end.is_final and not await self._may_go_on(end):
            self.stop(end.as_stop())
            return
        pause = pause_before(
            self._failures, chance=self._plan.chance(), at_least_s=end.retry_after_s, timing=self._plan.timing
        )
        logger.warning("The feed is interrupted: %s. Next try in %.1f s.", end, pause, extra={"action": "feed.waiting"})
        self._failures += 1
        self._wait_until = now + pause
        self._enter("waiting")

    def stop(self, why: FeedStopped) -> None:
        """Stop for good; whoever asks for more hears why."""
        self._stopped = why
        self._enter("stopped")

    def caught_up(self) -> None:
        """Note that history is done."""
        self._live_since = self._live_since or time.monotonic()
        self._enter("live")

    async def hang_up(self) -> None:
        """Close the connection, if there is one."""
        reception, self._reception = self._reception, None
        if reception is not None:
            self._newest = self.newest
            await reception.aclose()

    async def aclose(self) -> None:
        """End; the state says so, unless the feed had stopped before."""
        await self.hang_up()
        if self._stopped is None:
            self._enter("idle")

    def acknowledge(self, cursor: str) -> None:
        """Acknowledge, if there is somebody to hear it."""
        if self._reception is not None:
            self._reception.acknowledge(cursor)

    @property
    def newest(self) -> str | None:
        """The latest cursor that a server has mentioned."""
        return (self._reception and self._reception.newest) or self._newest

    @property
    def is_level(self) -> bool:
        """Whether it is live and everything that came has been asked for."""
        return self.state == "live" and self._reception is not None and self._reception.is_drained

    # --- connecting ------------------------------------------------------------------------------------------------------

    async def _reconnect(self) -> Reception:
        await asyncio.sleep(max(0.0, self._wait_until - time.monotonic()))
        self._enter("connecting")
        connection, hello = await self._greeted()
        try:
            await self._agree_on_place(hello)
            reception = Reception(connection, silence_s=self._plan.timing.silence * hello.heartbeat_s)
        except BaseException:
            await connection.aclose()
            raise
        reception.newest = hello.newest
        self._enter("catching_up")
        return reception

    async def _greeted(self) -> tuple[Connection, Hello]:
        """Connect and wait for `hello`, both within its time."""
        connection = None
        try:
            async with asyncio.timeout(self._plan.timing.hello_s):
                connection = await connect(self._plan.transport, await self._opening())
                self._enter("greeting")
                hello = await connection.receive()
            if not isinstance(hello, Hello):
                raise Breach("the server did not greet")  # noqa: TRY301 - the connection is closed below
        except BaseException as error:
            if connection is not None:
                await connection.aclose()
            if isinstance(error, TimeoutError):
                raise Dropped("the server did not greet in time") from None
            raise
        return connection, hello

    async def _opening(self) -> Opening:
        parameters = self._place() | self._plan.wish.parameters()
        if self._plan.transport != "poll" and (self._plan.on_gap == "oldest" or self._passes is not None):
            parameters["on_gap"] = "oldest"
        return Opening(
            session=self._session,
            address=self._plan.address,
            credential=await self._credential(),
            parameters=parameters,
        )

    def _place(self) -> dict[str, str]:
        if self._ledger.position is not None:
            return {"cursor": self._ledger.position}
        if self._plan.since is not None:
            return {"since": self._plan.since}
        return {"cursor": self._plan.start}

    async def _credential(self) -> Credential:
        if self._plan.get_ticket is None:
            return Credential(token=self._plan.token)
        try:
            return Credential(ticket=await settled(self._plan.get_ticket()))
        except (aiohttp.ClientError, OSError) as error:
            raise unreachable(error) from error

    # --- the place -------------------------------------------------------------------------------------------------------

    async def _agree_on_place(self, hello: Hello) -> None:
        """Begin where the server says; that is where this client is, unless the owner has agreed to a gap."""
        if hello.gap is not None and not await self._is_passed(hello.gap):
            raise _Refused(hello.gap)
        self._passes = None
        if hello.gap is not None or self._ledger.position is None:
            await self._ledger.begin_at(hello.cursor)

    async def _may_go_on(self, end: Dropped) -> bool:
        """Whether the owner's word or a new ticket makes coming back worth while."""
        if end.close == UNAUTHORISED and self._plan.get_ticket is not None and not self._has_renewed:
            self._has_renewed = True
            return True
        problem = end.problem
        if problem is None or problem.code not in GAP_CODES or not is_cursor(problem.oldest):
            return False
        gap = Gap(reason=problem.code, origin=self._ledger.position or self._plan.since, to=str(problem.oldest))
        if not await self._is_passed(gap):
            return False
        if self._plan.transport == "poll":
            # A poll's answer has no room for a gap, so the place is set beforehand.
            await self._ledger.begin_at(gap.to)
        return True

    async def _is_passed(self, gap: Gap) -> bool:
        """Tell the owner of a gap, once, and return whether to go on."""
        if self._passes is not None and self._passes.to == gap.to:
            return True
        logger.warning(
            "Events after %s up to %s can no longer be had (%s).",
            gap.origin,
            gap.to,
            gap.reason,
            extra={"action": "feed.gap"},
        )
        agreed = self._plan.on_gap == "oldest"
        if callable(self._plan.on_gap):
            agreed = bool(await settled(self._plan.on_gap(gap)))
        self._passes = gap if agreed else None
        return agreed

    def _enter(self, state: State) -> None:
        if state == self.state:
            return
        self.state = state
        logger.debug("The feed is %s.", state)
        if self._plan.on_state is not None:
            self._plan.on_state(state)


class _Refused(Dropped):
    """The owner does not want to go on after a gap."""

    def __init__(self, gap: Gap) -> None:
        close = 4511 if gap.reason == "other_epoch" else 4510
        super().__init__("events are missing", close=close)
        self.gap = gap

    def as_stop(self) -> FeedStopped:
        """Return what the owner gets to see."""
        gap = self.gap
        text = f"Events after {gap.origin} up to {gap.to} can no longer be had."
        return FeedStopped(gap.reason, text, close=self.close, oldest=gap.to)
