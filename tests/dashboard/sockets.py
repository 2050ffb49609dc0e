"""A browser's end of the live socket, without a server: the whole application between two queues."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from channels.db import database_sync_to_async
from channels.sessions import SessionMiddlewareStack
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from livereferrals.dashboard import live
from livereferrals.dashboard.consumers import LiveApplication
from livereferrals.dashboard.messages import SUBPROTOCOL
from livereferrals.dashboard.pacing import Timing
from livereferrals.streaming import reading
from tests.dashboard.makers import cursor_of, metrics, regions_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PATH = "/referrals/live/ws"
WAIT_S = 60
LONG_S = 3600.0
PATIENT = Timing(ack_s=LONG_S, heartbeat_s=LONG_S, standing_s=LONG_S, lag_s=LONG_S, send_s=LONG_S)
"""Nothing comes by itself, however slow the machine is: a test sets what it waits for."""


@database_sync_to_async
def sign_in(user: User) -> Client:
    """Return a browser that is signed in."""
    client = Client()
    client.force_login(user)
    return client


@database_sync_to_async
def open_page(client: Client, query: str = "") -> str:
    """Return the overview's markup."""
    return client.get(f"/referrals/?{query}").content.decode()


async def idle_threads() -> None:
    """Return once nothing reads the database any more: a query that is still running can deadlock with the flush."""
    together = threading.Barrier(live.THREADS)
    await asyncio.gather(*(live.in_pool(together.wait, WAIT_S) for _ in range(live.THREADS)))
    await reading.in_hub_thread(bool)


class Browser:
    """One live socket; `async with Browser(client) as browser`."""

    def __init__(
        self,
        client: Client | None,
        *,
        timing: dict[str, float] | None = None,
        origin: str | None = "http://testserver",
        **query: str,
    ) -> None:
        headers = [(b"host", b"testserver")]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        if client is not None:
            cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        application = SessionMiddlewareStack(LiveApplication(replace(PATIENT, **(timing or {}))))
        url = f"{PATH}?{urlencode(query)}"
        self.end = WebsocketCommunicator(application, url, headers=headers, subprotocols=[SUBPROTOCOL])
        self.controls: list[dict[str, Any]] = []
        """Every control message so far."""
        self.regions: dict[str, str] = {}
        """What the page shows: of each region the markup that came last."""

    @property
    def page(self) -> str:
        """What the page shows. A single frame is no measure of it: which regions it brings depends on the one before."""
        return "".join(self.regions.values())

    async def __aenter__(self) -> Self:
        connected, spoken = await self.end.connect(timeout=WAIT_S)
        assert connected
        assert spoken == SUBPROTOCOL
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.end.disconnect(timeout=WAIT_S)
        await idle_threads()

    async def text(self) -> str:
        """Return the next message."""
        found = await self.end.receive_from(timeout=WAIT_S)
        assert isinstance(found, str)
        if found.startswith("{"):
            self.controls.append(json.loads(found))
        return found

    async def control(self, kind: str) -> dict[str, Any]:
        """Return the next control message of this type; frames before it are shown and acknowledged."""
        while True:
            found = await self.text()
            if not found.startswith("{"):
                await self._show(found, ack=True)
            elif self.controls[-1]["type"] == kind:
                return self.controls[-1]

    async def frame(self, *, ack: bool = True) -> str:
        """Return the next frame, acknowledged; control messages before it are kept."""
        while (found := await self.text()).startswith("{"):
            pass
        await self._show(found, ack=ack)
        return found

    async def _show(self, frame: str, *, ack: bool) -> None:
        self.regions |= regions_of(frame)
        if ack:
            await self.say("ack", cursor=cursor_of(frame))

    async def frame_with(self, **wanted: str) -> str:
        """Return the first frame after which the page's numbers are these."""
        while True:
            found = await self.frame()
            if wanted.items() <= metrics(self.page).items():
                return found

    async def say(self, kind: str, **facts: object) -> None:
        """Send a control message."""
        await self.end.send_to(text_data=json.dumps({"type": kind, **facts}))

    async def closed(self) -> int:
        """Return the code of the close that comes next; frames before it are passed over."""
        while True:
            message = await self.end.receive_output(timeout=WAIT_S)
            if message["type"] == "websocket.close":
                code: int = message["code"]
                return code
            if message["text"].startswith("{"):
                self.controls.append(json.loads(message["text"]))

    async def is_quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for a while."""
        return await self.end.receive_nothing(timeout=seconds)
