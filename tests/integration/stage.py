"""What the story needs besides the server: a partner with its server, subscriptions and token, staff, and visitors."""

from __future__ import annotations

import asyncio
import contextlib
import html
import itertools
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from livereferrals.events.models import Event
from livereferrals.streaming import tokens
from livereferrals.tracking.models import Confirmation, ReferralHit
from tests import factories
from tests.browsing import Browser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from django.contrib.auth.models import User

    from livereferrals.tracking.models import Partner, ReferralLink
    from tests.servers import Call, HostServer, PartnerSink

LIVE_PROTOCOL = Subprotocol("livereferrals.live.v1")
LIVE_URL = re.compile(r'ws-connect="([^"]+)"')
CURSOR = re.compile(r'id="cursor"[^>]*value="([^"]+)"')
PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The rows before the curtain rises."""

    partner: Partner
    link: ReferralLink
    token: str
    staff: User
    sink: PartnerSink

    @classmethod
    def set_up(cls, sink: PartnerSink) -> Stage:
        """Make a partner that wants to be called for both triggers, by GET and by POST."""
        partner = factories.make_partner(name="Acme")
        calls = {"partner": partner, "allow_plain_http": True}
        signup = sink.url("/signup?visitor={visitor_id}&confirmation={confirmation_id}")
        factories.make_subscription(**calls, trigger="User registered", method="GET", callback_url=signup)
        factories.make_subscription(**calls, trigger="Order paid", callback_url=sink.url("/order"))
        _, token = tokens.issue(name="Story", partner=partner)
        link = factories.make_link(partner=partner, identifier="spring")
        return cls(partner=partner, link=link, token=token, staff=factories.make_staff(username="boss"), sink=sink)

    def events(self) -> list[Event]:
        """Return what the log has of the partner, in order."""
        return list(Event.objects.filter(partner=self.partner.uid, seq__isnull=False).order_by("seq"))

    def calls(self, path: str) -> list[Call]:
        """Return what the partner's server was called with at a path."""
        return [call for call in list(self.sink.calls) if call.path == path]


@dataclass(kw_only=True)
class Visit:
    """One visitor's way through the shop; what was answered is noted when the answer is there."""

    server: HostServer
    browser: Browser
    name: str
    followed: bool = False
    registered: bool = False
    ordered: bool = False

    @classmethod
    def new(cls, server: HostServer) -> Visit:
        """A visitor that has not been here before."""
        return cls(server=server, browser=Browser(server.url()), name=f"visitor{next(_numbers)}")

    @property
    def order(self) -> str:
        """The number of the order that this visitor places."""
        return f"order-{self.name}"

    def follow(self) -> None:
        """Follow the partner's link."""
        page = self.browser.request("/ref/spring?next=/page/")
        assert (page.status, page.headers["Location"]) == (302, "/page/"), page.text
        self.followed = True

    def register(self) -> None:
        """Sign up; the shop logs in."""
        passwords = {"password1": PASSWORD, "password2": PASSWORD}
        page = self.browser.submit("/signup/", username=self.name, **passwords)
        assert page.status == 302, page.text
        self.registered = True

    def buy(self, **more: str) -> None:
        """Place and pay an order."""
        page = self.browser.submit("/buy/", number=self.order, total="129.90", currency="EUR", **more)
        assert page.status == (402 if more else 201), page.text
        self.ordered = not more

    def go_through(self) -> None:
        """Follow, sign up, buy."""
        self.follow()
        self.register()
        self.buy()


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows there are."""

    hits: int
    confirmations: int

    @classmethod
    def count(cls) -> Rows:
        return cls(ReferralHit.objects.count(), Confirmation.objects.count())


@dataclass
class Screen:
    """A dashboard: first paint over HTTP, then frames over the live socket."""

    text: str
    frames: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def shows(self, event: Event) -> bool:
        """Whether the row of an event has been shown."""
        mark = f'id="event-{event.seq}"'
        return any(mark in text for text in (self.text, *self.frames))

    def shown_at(self, event: Event) -> float:
        """Return when, by `time.monotonic()`, a frame first showed the event."""
        mark = f'id="event-{event.seq}"'
        return next((at for at, text in zip(self.times, self.frames, strict=True) if mark in text), float("inf"))


@contextlib.asynccontextmanager
async def dashboard(server: HostServer, staff: User) -> AsyncIterator[Screen]:
    """Sign in as staff, open the overview and watch it; every frame is acknowledged as the page does."""
    browser = Browser(server.url())

    def open_page() -> str:
        browser.submit("/admin/login/?next=/referrals/", username=staff.username, password=PASSWORD, next="/referrals/")
        page = browser.visit("/referrals/")
        assert page.status == 200, page.text
        return page.text

    text = await asyncio.to_thread(open_page)
    found = LIVE_URL.search(text)
    cursor = CURSOR.search(text)
    assert found is not None
    assert cursor is not None
    screen = Screen(text)
    address = html.unescape(found[1])
    joint = "&" if "?" in address else "?"
    socket = connect(
        server.ws_url(f"{address}{joint}cursor={cursor[1]}"),
        additional_headers={"Cookie": browser.cookie_header(), "Origin": server.url("").rstrip("/")},
        subprotocols=[LIVE_PROTOCOL],
        proxy=None,
        max_size=2**22,
    )
    async with socket as connection:
        task = asyncio.create_task(_watch(connection, screen))
        try:
            yield screen
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _watch(connection: object, screen: Screen) -> None:
    async for message in connection:  # type: ignore[attr-defined] # an open connection of websockets
        text = message if isinstance(message, str) else message.decode()
        if text.startswith("{"):
            continue
        screen.times.append(time.monotonic())
        screen.frames.append(text)
        if (cursor := CURSOR.search(text)) is not None:
            await connection.send(f'{{"type":"ack","cursor":"{cursor[1]}"}}')  # type: ignore[attr-defined] # as above
