"""What happens around a page: more tabs than are sensible, a deploy, several server processes, no network."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp
import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from playwright.async_api import expect

from livereferrals.dashboard.crowding import SOCKETS
from tests.browser import screen
from tests.browser.conftest import POLL_S
from tests.dashboard import makers
from tests.factories import make_link
from tests.servers import daphne_server

if TYPE_CHECKING:
    from playwright.async_api import Page, WebSocket

    from livereferrals.tracking.models import ReferralLink
    from tests.browser.conftest import Desk
    from tests.servers import HostServer

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

write = database_sync_to_async


async def a_link() -> ReferralLink:
    return await write(make_link)()


async def test_twenty_first_tab_says_why_it_is_not_live(desk: Desk, server: HostServer) -> None:
    """dashboard-27: the other twenty are sockets without a page."""
    page = await desk.open(live=False)
    await screen.expect_state(page, "live")
    cookies = {each["name"]: each["value"] for each in await page.context.cookies()}
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookies[settings.SESSION_COOKIE_NAME]}"}
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        for _ in range(SOCKETS - 1):
            opening = session.ws_connect(server.ws_url("/referrals/live/ws"), origin=server.url(""))
            socket = await stack.enter_async_context(opening)
            assert json.loads((await socket.receive(20)).data)["type"] == "hello"
        await screen.expect_state(page, "live")
        last = await page.context.new_page()
        desk.guard.watch(last)
        await last.goto(page.url)
        await screen.expect_state(last, "crowded")
        await expect(last.locator(".lr-status__text")).to_have_text("Too many open tabs, updating every 15 s")
        await expect(last.locator(".lr-problem")).to_contain_text("20 pages of the dashboard are open")


async def test_deploy_of_new_files_loads_the_page_anew_once(desk: Desk, server: HostServer) -> None:
    """dashboard-55: spread over a few seconds, with its filters."""
    desk.guard.tolerate("WebSocket connection to", "Failed to load resource", "net::ERR")
    page = await desk.open("/referrals/?range=7d&type=hit")
    loads: list[str] = []
    page.on("load", lambda loaded: loads.append(loaded.url))
    server.stop()
    overrides = json.loads(server.environment["TEST_SETTINGS"]) | {"STATIC_URL": "/new/"}
    server.environment["TEST_SETTINGS"] = json.dumps(overrides)
    server.start()
    await expect(page.locator('link[rel="stylesheet"]').first).to_have_attribute(
        "href", "/new/livereferrals/app.css", timeout=60_000
    )
    await screen.expect_state(page, "live")
    await write(makers.hit)(await a_link())
    await screen.expect_metric(page, "hits", "1")
    assert [url.removeprefix(server.url("")) for url in loads] == ["/referrals/?range=7d&type=hit"]


async def test_tabs_on_two_server_processes_show_the_same_numbers(desk: Desk, server: HostServer) -> None:
    """dashboard-9"""
    link = await a_link()
    with daphne_server(LIVEREFERRALS={"FEED_POLL_INTERVAL": POLL_S}) as second:
        first_page = await desk.open()
        second_page = await first_page.context.new_page()
        desk.guard.watch(second_page)
        await second_page.goto(second.url("/referrals/"))
        await screen.expect_state(second_page, "live")
        for _ in range(3):
            await write(makers.hit)(link)
        await write(makers.confirmed)(link, amount="12.50", currency="EUR")
        shown = [await numbers(page, hits="3", confirmations="1") for page in (first_page, second_page)]
        assert shown[0] == shown[1]
        assert shown[0]["amount-EUR"] == "12.50"


async def numbers(page: Page, **wanted: str) -> dict[str, str]:
    """Return the page's numbers once these are among them."""
    for name, value in wanted.items():
        await screen.expect_metric(page, name, value)
    return await screen.metrics(page)


async def test_page_that_was_offline_is_right_after_one_frame(desk: Desk) -> None:
    """dashboard-12: whatever happened meanwhile."""
    desk.guard.tolerate("WebSocket connection to", "Failed to load resource", "net::ERR")
    link = await a_link()
    page = await desk.open()
    frames: list[str] = []
    page.on("websocket", lambda socket: hear(socket, frames))
    await page.context.set_offline(True)
    await screen.expect_state(page, "offline")
    for _ in range(20):
        await write(makers.hit)(link)
    assert (await screen.metrics(page))["hits"] == "0"
    await page.context.set_offline(False)
    await screen.expect_metric(page, "hits", "20", timeout_ms=40_000)
    assert await page.locator("main").get_attribute("data-stale") is None
    await asyncio.sleep(3 * POLL_S)  # time for a second frame, which must not come
    assert len(frames) == 1


def hear(socket: WebSocket, frames: list[str]) -> None:
    """Keep the frames of a socket, without its control messages."""
    socket.on("framereceived", lambda text: None if str(text).startswith("{") else frames.append(str(text)))
