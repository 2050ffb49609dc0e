"""A page that was away comes back right, and one that stays open for long stays light."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from playwright.async_api import expect

from livereferrals.dashboard.crowding import SOCKETS
from tests.browser import screen
from tests.browser.test_connection import NETWORK, Gate, hits, open_behind
from tests.dashboard import makers
from tests.factories import make_link

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

SOAK = "LIVEREFERRALS_SOAK" in os.environ
WARM, FRAMES = (1200, 9600) if SOAK else (6, 16)
"""Frames before the first measurement, and between the two; the long version takes ten minutes."""
HEAP_BYTES = 5 * 1024 * 1024
OPEN_SOCKETS = """(count) => {
    const { live } = document.getElementById("filters").dataset;
    window.others = Array.from({ length: count }, () => {
        const address = new URL(live, location.href);
        address.protocol = "ws:";
        return new WebSocket(address, "livereferrals.live.v1");
    });
    return Promise.all(window.others.map((socket) => new Promise((done) => {
        socket.onmessage = () => done(true);
        socket.onclose = () => done(false);
    })));
}"""


async def test_page_that_was_offline_comes_back_with_one_frame(desk: Desk) -> None:
    """dashboard-12: the network is gone for a while; one frame brings everything that happened meanwhile."""
    gate = Gate()
    page = await open_behind(desk, gate)
    desk.guard.tolerate(*NETWORK)
    await page.evaluate("() => { window.untouched = true; }")
    gate.refuse_with = 1006
    await page.context.set_offline(True)
    await screen.expect_state(page, "offline")
    await hits(30)
    assert (await screen.metrics(page))["hits"] == "0"
    gate.refuse_with = None
    await page.evaluate(
        "() => { window.frames = 0; document.getElementById('live').addEventListener('lr:frame', () => window.frames++); }"
    )
    await page.context.set_offline(False)
    await screen.expect_state(page, "live")
    await screen.expect_metric(page, "hits", "30")
    assert await page.locator("main").get_attribute("data-stale") is None
    assert await page.evaluate("() => window.frames") == 1
    assert await page.evaluate("() => window.untouched")


async def test_tab_too_many_says_why_and_goes_on_by_polling(desk: Desk) -> None:
    """dashboard-27: twenty sockets of one session are live; the next page says why it is not, and is right anyway."""
    first = await desk.open()
    assert await first.evaluate(OPEN_SOCKETS, SOCKETS - 1) == [True] * (SOCKETS - 1)
    late = await first.context.new_page()
    await late.clock.install()
    desk.guard.watch(late)
    await late.goto(first.url)
    await screen.expect_state(late, "crowded")
    await expect(late.locator(".lr-status__text")).to_have_text("Too many open tabs, updating every 15 s")
    await expect(late.get_by_role("alert")).to_contain_text(f"{SOCKETS} pages of the dashboard are open")
    await hits(2)
    await screen.expect_metric(first, "hits", "2")
    await late.clock.fast_forward(15_000)
    await screen.expect_metric(late, "hits", "2")
    await first.close()
    await late.reload()
    await screen.expect_state(late, "live")


async def test_page_that_stays_open_stays_light(desk: Desk) -> None:
    """dashboard-51: heap, nodes and listeners do not grow with the frames that were shown."""
    link = await database_sync_to_async(make_link)()
    page = await desk.open()
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")

    async def show(count: int, *, from_: int) -> None:
        for number in range(from_ + 1, from_ + count + 1):
            for _ in range(3):
                await database_sync_to_async(makers.hit)(link)
            await screen.expect_metric(page, "hits", str(50 + 3 * number))

    async def weigh() -> dict[str, float]:
        # Twice: what the first collection finalises, the second one takes.
        for _ in range(2):
            await devtools.send("HeapProfiler.collectGarbage")
        found: Any = await devtools.send("Performance.getMetrics")
        return {item["name"]: item["value"] for item in found["metrics"]}

    # Until the list of fifty is full it has to grow.
    await database_sync_to_async(lambda: [makers.hit(link) for _ in range(50)])()
    await show(WARM, from_=0)
    before = await weigh()
    await show(FRAMES, from_=WARM)
    after = await weigh()
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] <= HEAP_BYTES
    assert after["Nodes"] <= before["Nodes"] * 1.02 + 60, (before["Nodes"], after["Nodes"])
    assert after["JSEventListeners"] <= before["JSEventListeners"], (before, after)
