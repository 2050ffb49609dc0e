"""What happens around a page: a deploy, and several server processes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from playwright.async_api import expect

from tests.browser import screen
from tests.browser.conftest import SETTINGS
from tests.dashboard import makers
from tests.factories import make_link
from tests.servers import daphne_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page

    from livereferrals.tracking.models import ReferralLink
    from tests.browser.conftest import Desk
    from tests.servers import HostServer

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

write = database_sync_to_async


async def a_link() -> ReferralLink:
    return await write(make_link)()


async def test_deploy_of_new_files_loads_the_page_anew_once(desk: Desk, server: HostServer) -> None:
    """dashboard-55: spread over a few seconds, with its filters."""
    desk.guard.tolerate("WebSocket connection to", "Failed to load resource", "net::ERR")
    page = await desk.open("/referrals/?range=7d&type=hit")
    loads: list[str] = []
    page.on("load", lambda loaded: loads.append(loaded.url))
    server.stop()
    with deployed(server, STATIC_URL="/new/"):
        server.start()
    await expect(page.locator('link[rel="stylesheet"]').first).to_have_attribute("href", "/new/livereferrals/app.css")
    await screen.expect_state(page, "live")
    await write(makers.hit)(await a_link())
    await screen.expect_metric(page, "hits", "1")
    assert [url.removeprefix(server.url("")) for url in loads] == ["/referrals/?range=7d&type=hit"]
    server.stop()


@contextlib.contextmanager
def deployed(server: HostServer, **overrides: object) -> Iterator[None]:
    """Have the server start with other settings."""
    before = server.environment["TEST_SETTINGS"]
    server.environment["TEST_SETTINGS"] = json.dumps(json.loads(before) | overrides)
    try:
        yield
    finally:
        server.environment["TEST_SETTINGS"] = before


async def test_tabs_on_two_server_processes_show_the_same_numbers(desk: Desk, server: HostServer) -> None:
    """dashboard-9"""
    link = await a_link()
    with daphne_server(LIVEREFERRALS=SETTINGS) as second:
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
        await second_page.close()


async def numbers(page: Page, **wanted: str) -> dict[str, str]:
    """Return the page's numbers once these are among them."""
    for name, value in wanted.items():
        await screen.expect_metric(page, name, value)
    return await screen.metrics(page)
