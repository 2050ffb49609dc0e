"""The page always says whether it is live, and becomes live again by itself."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from playwright.async_api import expect

from tests.browser import screen
from tests.browser.conftest import OVERVIEW
from tests.dashboard import makers
from tests.factories import make_link
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page, WebSocketRoute

    from tests.browser.conftest import Desk
    from tests.servers import HostServer

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

NETWORK = ("WebSocket connection to", "Failed to load resource", "net::ERR")
"""What Chromium writes to the console by itself when a server is away."""


async def hits(number: int) -> None:
    """Write some hits past the server."""

    def write() -> None:
        link = make_link()
        for _ in range(number):
            makers.hit(link)

    await database_sync_to_async(write)()


class Gate:
    """Stands between the page's sockets and the server, and can close them with any code."""

    def __init__(self) -> None:
        self.routes: list[WebSocketRoute] = []
        self.open: set[WebSocketRoute] = set()
        self.most = 0
        self.refuse_with: int | None = None
        self.hold_back = False
        self.held: list[str | bytes] = []

    async def stand_before(self, page: Page) -> None:
        await page.route_web_socket("**/live/ws**", self._route)

    async def _route(self, route: WebSocketRoute) -> None:
        self.routes.append(route)
        if self.refuse_with is not None:
            await route.close(code=self.refuse_with)
            return
        self.open.add(route)
        self.most = max(self.most, len(self.open))
        upstream = route.connect_to_server()

        async def left(code: int | None, reason: str | None) -> None:
            self.open.discard(route)
            await upstream.close(code=1000)

        def pass_on(message: str | bytes) -> None:
            if self.hold_back:
                self.held.append(message)
            else:
                route.send(message)

        route.on_close(left)
        upstream.on_message(pass_on)

    async def cut(self, code: int) -> None:
        """End the newest socket as the server would."""
        route = self.routes[-1]
        self.open.discard(route)
        await route.close(code=code)


async def open_behind(desk: Desk, gate: Gate, *, state: str = "live") -> Page:
    """Open the overview with the gate before its sockets."""
    context = await desk.context()
    page = await context.new_page()
    await gate.stand_before(page)
    desk.guard.watch(page)
    await page.goto(desk.server.url(OVERVIEW))
    await screen.expect_state(page, state)
    return page


async def test_killed_server_is_noticed_and_its_return_too(desk: Desk, server: HostServer) -> None:
    """dashboard-10: "not live" within 3 s, live again within 10 s, numbers right, no reload."""
    page = await desk.open()
    desk.guard.tolerate(*NETWORK)
    await page.evaluate("() => { window.untouched = true; }")
    server.kill9()
    await screen.expect_state(page, "offline")
    await expect(page.locator(".lr-status__text")).to_contain_text("Not live since")
    await expect(page.get_by_role("button", name="Now")).to_be_visible()
    await hits(2)
    server.start()
    await screen.expect_state(page, "live")
    await screen.expect_metric(page, "hits", "2")
    assert await page.evaluate("() => window.untouched")


async def test_loss_and_return_are_announced_once_each(desk: Desk, server: HostServer) -> None:
    """dashboard-42: and nothing that counts seconds is announced."""
    page = await desk.open()
    desk.guard.tolerate(*NETWORK)
    await expect(page.get_by_role("status")).to_have_text("Live")
    await page.evaluate(
        """() => {
            window.said = [];
            const region = document.querySelector("[role=status]");
            new MutationObserver(() => window.said.push(region.textContent)).observe(region, { childList: true });
        }"""
    )
    server.kill9()
    await expect(page.get_by_role("status")).to_contain_text("Not live since")
    server.start()
    await expect(page.get_by_role("status")).to_have_text("Live")
    said = await page.evaluate("() => window.said")
    assert [text.split(" since")[0] for text in said] == ["Not live", "Live"]


async def test_one_socket_after_many_reconnects(desk: Desk) -> None:
    """dashboard-13: 20 closes with five codes leave one socket; never were there two."""
    gate = Gate()
    page = await open_behind(desk, gate)
    now = page.locator(".lr-status__now")
    for number, code in enumerate(itertools.islice(itertools.cycle((1006, 1011, 1012, 4000, 4008)), 20), start=1):
        await gate.cut(1011 if code == 1006 else code)  # 1006 is never sent: only a broken line gives it
        await eventually(functools.partial(came_back, gate, now, number))
        await screen.expect_state(page, "live")
    assert len(gate.open) == 1
    assert gate.most == 1
    await hits(1)
    await screen.expect_metric(page, "hits", "1")


async def came_back(gate: Gate, now: Locator, closes: int) -> bool:
    """Whether there is a socket after so many closes; presses the button if it is there just now."""
    if len(gate.routes) <= closes:
        # In one step: between a look and a click the button may go.
        await now.evaluate_all(
            "buttons => buttons.filter((button) => !button.hidden).forEach((button) => button.click())"
        )
    return len(gate.routes) > closes


async def test_foreign_page_gets_no_socket(desk: Desk, server: HostServer) -> None:
    """dashboard-17: the cookie goes with a request of any page; the origin tells."""
    context = await desk.context()
    page = await context.new_page()
    opened = await dial(page, f"http://localhost:{server.port}/", server)
    assert opened == ["close", 1006]
    assert await dial(page, server.url("/"), server) == ["open"]


async def dial(page: Page, from_page: str, server: HostServer) -> Any:
    """Open the live socket from a page, and tell what came of it."""
    await page.goto(from_page)
    return await page.evaluate(
        """(address) => new Promise((resolve) => {
            const socket = new WebSocket(address);
            socket.onopen = () => { resolve(["open"]); socket.close(); };
            socket.onclose = ({ code }) => resolve(["close", code]);
        })""",
        server.ws_url(f"{OVERVIEW}live/ws?view=overview"),
    )


async def test_without_sockets_the_page_polls_and_says_so(desk: Desk) -> None:
    """dashboard-18."""
    gate = Gate()
    gate.refuse_with = 1011
    page = await open_behind(desk, gate, state="polling")
    await expect(page.locator(".lr-status__text")).to_have_text("Updating every 5 s")
    await hits(3)
    await screen.expect_metric(page, "hits", "3")
    assert await page.locator("main").get_attribute("data-cursor") == await page.locator("#cursor").get_attribute(
        "value"
    )


async def test_end_of_the_session_leads_to_the_sign_in_and_back(desk: Desk) -> None:
    """dashboard-14: 4501 is not tried again; the link has `next` with the filters."""
    gate = Gate()
    page = await open_behind(desk, gate)
    await page.get_by_role("link", name="7 days").click()
    await expect(page).to_have_title("Overview · 7 days")
    desk.guard.tolerate("401")
    await page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    await gate.cut(4501)
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Signed out")
    await expect(dialog.get_by_role("link")).to_have_attribute("href", "/login/?next=/referrals/%3Frange%3D7d")
    assert len(gate.routes) == 1


async def test_withdrawn_permission_stops_it(desk: Desk) -> None:
    """dashboard-15: a message, and no further attempt."""
    gate = Gate()
    page = await open_behind(desk, gate)
    await gate.cut(4503)
    await expect(page.locator(".lr-status__text")).to_have_text("You may no longer see this page")
    await expect(page.get_by_role("button", name="Now")).to_be_hidden()
    assert len(gate.routes) == 1


async def test_late_frame_never_goes_over_a_newer_one(desk: Desk) -> None:
    """dashboard-56: a frame that a proxy has held back arrives after a newer state."""
    gate = Gate()
    page = await open_behind(desk, gate)
    gate.hold_back = True
    await hits(1)
    await eventually(lambda: any("<data" in str(message) for message in gate.held))
    late = next(str(message) for message in gate.held if "<data" in str(message))
    gate.hold_back = False
    await gate.cut(1011)
    await hits(1)
    await screen.expect_metric(page, "hits", "2")
    cursor = await page.locator("main").get_attribute("data-cursor")
    gate.routes[-1].send(late)
    gate.routes[-1].send('{"type":"lag","seconds":12}')
    await screen.expect_state(page, "behind")
    await expect(page.locator(".lr-status__text")).to_have_text("12 s behind")
    assert (await screen.metrics(page))["hits"] == "2"
    assert await page.locator("main").get_attribute("data-cursor") == cursor


async def test_frame_on_its_way_does_not_break_a_pause_and_is_not_lost(desk: Desk) -> None:
    """dashboard-19: the server counts it as shown and will not send it again."""
    gate = Gate()
    page = await open_behind(desk, gate)
    gate.hold_back = True
    await hits(1)
    await eventually(lambda: any("<data" in str(message) for message in gate.held))
    await page.keyboard.press("p")
    await screen.expect_state(page, "paused")
    gate.hold_back = False
    for message in gate.held:
        gate.routes[-1].send(message)
    gate.routes[-1].send('{"type":"waiting","n":7}')
    await expect(page.locator(".lr-status__text")).to_contain_text("7 new")
    assert (await screen.metrics(page))["hits"] == "0"
    await page.keyboard.press("p")
    await screen.expect_metric(page, "hits", "1")


async def test_hidden_tab_holds_no_socket(desk: Desk) -> None:
    """dashboard-26: after 30 s; on return one socket and right numbers."""
    page = await desk.open()
    await page.clock.install()
    await page.reload()
    await screen.expect_state(page, "live")
    await show(page, visible=False)
    await page.clock.fast_forward("00:31")
    await expect(page.locator("#live")).to_have_attribute("data-stage", "parked")
    before = len(desk.guard.requests)
    await page.clock.fast_forward("01:00")
    await hits(4)
    await show(page, visible=True)
    await screen.expect_metric(page, "hits", "4")
    assert [url for url in desk.guard.requests[before:] if not url.startswith("ws")] == []


async def show(page: Page, *, visible: bool) -> None:
    """Make the page believe that it is seen, or not: headless pages are always visible."""
    await page.evaluate(
        """(visible) => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => !visible });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        visible,
    )


async def test_filter_that_nobody_answers_says_so_and_leaves_the_page(desk: Desk, server: HostServer) -> None:
    """dashboard-53: the numbers stay, and the same filter works once the server is back."""
    page = await desk.open()
    desk.guard.tolerate(*NETWORK, "htmx:sendError", "htmx:afterRequest")
    server.kill9()
    await screen.expect_state(page, "offline")
    await page.get_by_role("link", name="7 days").click()
    await expect(page.get_by_role("alert")).to_have_text("The server did not answer that. Please try again.")
    assert (await screen.metrics(page))["hits"] == "0"
    server.start()
    await screen.expect_state(page, "live")
    await page.get_by_role("link", name="7 days").click()
    await expect(page).to_have_title("Overview · 7 days")
    await expect(page.get_by_role("alert")).to_be_hidden()
