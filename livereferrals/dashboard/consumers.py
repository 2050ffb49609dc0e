"""The live socket: frames of the newest state to one viewer, one at a time, and what is said beside them.

A text message that begins with `{` is control, everything else is markup (dashboard's document, 4). From the server:
`hello`, `waiting`, `heartbeat`, `lag`, `reload`, `problem`. From the browser: `ack`, `pause`, `resume`, `filters`,
`visible`, `ping`.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from django.utils import timezone, translation
from django.utils.translation import gettext

from livereferrals.dashboard import access, assets, catalogue, crowding, live, messages, origins, pacing, scoping
from livereferrals.dashboard.access import Refusal, Rights
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.pacing import Timing
from livereferrals.dashboard.pages import NoSuchSubjectError
from livereferrals.dashboard.viewpoints import language_of, viewpoint_of
from livereferrals.events import log, wire
from livereferrals.exceptions import FeedError
from livereferrals.streaming.protocol import ENDINGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livereferrals.dashboard.beats import Period
    from livereferrals.dashboard.pages import Frame
    from livereferrals.dashboard.viewpoints import Viewpoint
    from livereferrals.events.cursors import Cursor

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Left(Exception):  # noqa: N818 - says what happened
    """The browser has gone."""


class LiveApplication:
    """The ASGI application of the live socket."""

    def __init__(self, timing: Timing | None = None) -> None:
        self._timing = timing or Timing()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection.

        A page of another origin is refused before the accept. Everything else is said after it, because the browser
        learns nothing from a refusal.
        """
        await receive()
        if not origins.is_own(scope):
            await send({"type": "websocket.close"})
            return
        spoken = messages.SUBPROTOCOL if messages.SUBPROTOCOL in scope.get("subprotocols", ()) else None
        await send({"type": "websocket.accept", "subprotocol": spoken})
        await LiveSocket(scope, receive, send, timing=self._timing).run()


live_socket = LiveApplication()


class LiveSocket:
    """One accepted connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, timing: Timing) -> None:
        self._timing = timing
        self._session = scope["session"]
        self._receive = receive
        self._send_message = send
        self._query_string = scope.get("query_string", b"").decode("latin-1")
        self._query = dict(parse_qsl(self._query_string))
        self._frames = live.get_frames()
        self._wanted = asyncio.Event()
        self._shown: Cursor | None = None
        """What the page shows; nothing where it needs a frame in any case."""
        self._period = ""
        self._regions: dict[str, str] = {}
        """What was sent of each region, under these filters."""
        self._unacknowledged: str | None = None
        self._credit_at = 0.0
        """When, on the loop's clock, a frame counts as acknowledged."""
        self._paused = False
        self._visible = True
        self._told = 0
        """How many were last said to wait."""
        self._tell_at = 0.0

    # --- its life ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until the browser leaves or may no longer watch."""
        with ExitStack() as stack:
            stack.enter_context(translation.override(language_of(self._query.get("language", ""))))
            try:
                self._viewpoint = await self._enter()
                stack.enter_context(crowding.seat(self._session.session_key))
            except FeedError as error:
                await self._end(error)
            else:
                await self._serve()

    async def _serve(self) -> None:
        self._frames.join(self._viewpoint, self._wanted.set)
        try:
            await self._greet()
            async with asyncio.TaskGroup() as tasks:
                for work in (self._read(), self._follow(), self._beat(), self._watch_standing()):
                    tasks.create_task(work)
        except* _Left:
            pass
        except* FeedError as group:
            await self._end(next(error for error in group.exceptions if isinstance(error, FeedError)))
        finally:
            self._frames.leave(self._viewpoint, self._wanted.set)

    async def _enter(self) -> Viewpoint:
        page = catalogue.BY_NAME.get(self._query.get("view", "overview"))
        if page is None:
            raise FeedError("bad_request", gettext("There is no such view."))
        self._page = page
        return viewpoint_of(self._query_string, page=page, rights=await self._rights())

    async def _rights(self) -> Rights:
        """Return what the viewer may see just now.

        Raises:
            FeedError: nothing at all, or the database is away.
        """
        found = await live.look(access.standing, self._session)
        if found is Refusal.SIGNED_OUT:
            raise FeedError(found, gettext("You are signed out."))
        if found is Refusal.FORBIDDEN or not self._page.may_see(found):
            raise FeedError(Refusal.FORBIDDEN, gettext("You may not see this page."))
        return found

    async def _greet(self) -> None:
        """Say hello, and find out whether the page already shows what there is."""
        head = (await live.look(log.bounds)).newest_cursor
        current = await live.in_pool(assets.version)
        self._frames.heard_of(head)
        period = self._period_now().name
        if self._query.get("cursor") == str(head) and self._query.get("period") == period:
            self._shown, self._period = head, period
        now = wire.rfc3339(timezone.now())
        await self._say("hello", cursor=str(head), time=now, interval=pacing.INTERVAL_S)
        if self._query.get("assets", current) != current:
            await self._say("reload", reason="assets", assets=current)
        self._wanted.set()

    async def _end(self, error: FeedError) -> None:
        """Say why, because daphne drops the reason of a close, and close."""
        with suppress(_Left):
            await self._say("problem", code=error.code, text=error.message)
            await self._send({"type": "websocket.close", "code": ENDINGS[error.code].close})

    # --- to the browser ------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            await self._wait()
            if self._paused:
                await self._count_waiting()
            elif self._visible and self._has_credit() and self._is_behind():
                await self._send_frame()

    async def _wait(self) -> None:
        """Return when something may be new: a hint, an overdue acknowledgement, a count to tell, the range's end."""
        now = asyncio.get_running_loop().time()
        times = [due - now for due in (self._credit_at, self._tell_at) if due > now]
        left = (self._period_now().end - timezone.now()).total_seconds()
        if left > 0:  # a range of days gone by has no end to come
            times.append(left)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(times, default=None)):
                await self._wanted.wait()
        self._wanted.clear()

    def _has_credit(self) -> bool:
        return self._unacknowledged is None or asyncio.get_running_loop().time() >= self._credit_at

    def _is_behind(self) -> bool:
        head, shown = self._frames.head, self._shown
        if shown is None or self._period != self._period_now().name:
            return True
        return head is not None and live.is_newer(head, shown)

    def _period_now(self) -> Period:
        return self._viewpoint.period(now=timezone.now())

    async def _send_frame(self) -> None:
        viewpoint = self._viewpoint
        frame = await self._newest(viewpoint)
        if frame is None or viewpoint is not self._viewpoint or self._paused or not self._visible:
            self._wanted.set()
            return
        self._unacknowledged = str(frame.cursor)
        self._credit_at = asyncio.get_running_loop().time() + self._timing.ack_s
        text = frame.markup(already=self._regions)
        self._shown, self._period, self._regions = frame.cursor, frame.period, dict(frame.regions)
        await self._send({"type": "websocket.send", "text": text})

    async def _newest(self, viewpoint: Viewpoint) -> Frame | None:
        """Return the newest frame, saying meanwhile how late it is; nothing where the viewpoint was left."""
        if (frame := self._frames.current(viewpoint)) is not None:
            return frame
        task = self._frames.render(viewpoint)
        late_s = 0.0
        while not (await asyncio.wait({task}, timeout=self._timing.lag_s))[0]:
            late_s += self._timing.lag_s
            await self._say("lag", seconds=late_s)
        if task.cancelled():
            return None
        if late_s:
            await self._say("lag", seconds=0)
        try:
            return task.result()
        except NoSuchSubjectError as error:
            raise FeedError(Refusal.FORBIDDEN, gettext("This page is no longer there.")) from error

    async def _count_waiting(self) -> None:
        """Say how many events wait behind the pause, at most once a second."""
        now = asyncio.get_running_loop().time()
        if now < self._tell_at:
            return
        count = await live.look(scoping.new_events, self._shown, self._frames.head, rights=self._viewpoint.rights)
        if count == self._told:
            return
        self._told, self._tell_at = count, now + self._timing.waiting_s
        await self._say("waiting", n=count)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._timing.heartbeat_s)
            await self._say_heartbeat()

    async def _say_heartbeat(self) -> None:
        cursor = str(self._frames.head) if self._frames.head is not None else None
        await self._say("heartbeat", cursor=cursor, time=wire.rfc3339(timezone.now()))

    async def _watch_standing(self) -> None:
        while True:
            await asyncio.sleep(self._timing.standing_s)
            rights = await self._rights()
            if rights != self._viewpoint.rights:
                self._look_from(replace(self._viewpoint, rights=rights))
                await self._say("reload", reason="permissions")

    async def _say(self, kind: str, **facts: object) -> None:
        await self._send({"type": "websocket.send", "text": messages.control(kind, **facts)})

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._timing.send_s):
                await self._send_message(message)
        except OSError as error:  # TimeoutError too: uvicorn waits for the socket, daphne never does
            raise _Left from error

    # --- from the browser ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise _Left
            if message["type"] == "websocket.receive":
                await self._take(messages.parse(message.get("text")))

    async def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "ack", "cursor": cursor} if cursor == self._unacknowledged:
                self._unacknowledged, self._credit_at = None, 0.0
            case {"type": "pause"}:
                self._paused, self._told = True, 0
            case {"type": "resume"}:
                self._paused = False
            case {"type": "visible", "visible": bool(visible)}:
                self._visible = visible
            case {"type": "filters", "query": str(query)}:
                filters = Filters.parse(query.removeprefix("?"), self._page.fields)[0]
                self._look_from(replace(self._viewpoint, filters=filters))
            case {"type": "ping"}:
                await self._say_heartbeat()
        self._wanted.set()

    def _look_from(self, viewpoint: Viewpoint) -> None:
        """Change filters or rights: a frame of the new viewpoint is due at once, whatever is still on its way."""
        if viewpoint != self._viewpoint:
            self._frames.join(viewpoint, self._wanted.set)
            self._frames.leave(self._viewpoint, self._wanted.set)
            self._viewpoint = viewpoint
        self._shown, self._regions = None, {}
        self._unacknowledged, self._credit_at = None, 0.0
