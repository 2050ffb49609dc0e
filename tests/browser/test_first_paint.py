"""The overview as it is before anything moves: without script, small, dark, empty, and within its policy."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, Literal

import pytest
from channels.db import database_sync_to_async
from playwright.async_api import expect

from livereferrals.events import log
from tests.browser import screen, world
from tests.dashboard import makers
from tests.factories import make_link

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
FIRST_PAGE_BYTES = 120 * 1024

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


async def test_page_is_whole_without_script(desk: Desk) -> None:
    """dashboard-1, dashboard-2: numbers and rows are those of the database, at a cursor that the page names."""
    await database_sync_to_async(world.fill)()
    page = await desk.open(live=False, java_script_enabled=False)
    bounds = await database_sync_to_async(log.bounds)()
    main = page.locator("main")
    assert await main.get_attribute("data-cursor") == str(bounds.newest_cursor)
    assert await main.get_attribute("data-view") == "overview"
    shown = {
        name: await page.locator(f'[data-metric="{name}"]').get_attribute("data-value")
        for name in ("hits", "visitors", "claims", "confirmations")
    }
    assert shown == {"hits": "6", "visitors": "5", "claims": "1", "confirmations": "2"}
    await expect(page.locator("tr[id^=event-]")).to_have_count(12)
    await expect(page.locator("#status")).to_contain_text("As of")
    await expect(page.get_by_role("button", name="Pause")).to_be_hidden()


async def test_filters_work_without_script(desk: Desk) -> None:
    """dashboard-1: a filter is a link; the page for its address is the same for everybody."""
    await database_sync_to_async(world.fill)()
    page = await desk.open(live=False, java_script_enabled=False)
    await page.get_by_role("navigation", name="Types of events").get_by_role("link", name="Claim").click()
    await expect(page.locator("tr[id^=event-]")).to_have_count(1)
    assert "type=claim" in page.url


async def test_empty_database_says_what_would_be_here_and_what_to_do(desk: Desk) -> None:
    """dashboard-52."""
    page = await desk.open()
    await expect(page.locator("#events")).to_contain_text("No events yet")
    await expect(page.locator("#events a")).to_have_attribute("href", "/admin/livereferrals/partner/")
    assert (await screen.metrics(page))["hits"] == "0"


async def test_empty_page_has_no_sideways_scroll(desk: Desk) -> None:
    """dashboard-45: 320 x 256 is 1280 x 1024 at 400 %; full pages are `test_pages`'."""
    page = await desk.open()
    for width, height in ((1280, 800), (768, 600), (360, 640), (320, 256)):
        await page.set_viewport_size({"width": width, "height": height})
        assert await screen.sideways(page) <= 0, width
    await page.get_by_text("Types", exact=True).click()
    await expect(page.get_by_role("link", name="Claim")).to_be_visible()
    assert await screen.sideways(page) <= 0


async def test_first_page_is_light_and_speaks_to_nobody_else(desk: Desk) -> None:
    """dashboard-57: at most 120 KiB gzipped with all its assets; the guard refuses foreign hosts."""
    await database_sync_to_async(world.fill)()
    context = await desk.context()
    page = await context.new_page()
    bodies: dict[str, bytes] = {}

    async def keep(response: Any) -> None:
        bodies[response.url] = await response.body()

    page.on("response", keep)
    desk.guard.watch(page)
    await page.goto(desk.server.url("/referrals/"))
    await screen.expect_state(page, "live")
    await page.wait_for_load_state("networkidle")
    assert any(url.endswith("app.js") for url in bodies)
    assert sum(len(gzip.compress(body)) for body in bodies.values()) <= FIRST_PAGE_BYTES


async def test_axe_finds_nothing_on_an_empty_page(desk: Desk) -> None:
    """dashboard-44: WCAG 2.2 AA rules, contrast included, in light and dark; full pages are `test_pages`'."""
    page = await desk.open()
    for scheme, width in zip(SCHEMES, (1280, 360), strict=True):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        assert await screen.violations(page) == [], f"{scheme}, {width} px"


async def test_page_for_somebody_without_permission_says_what_is_missing(desk: Desk) -> None:
    """dashboard-44: the refusal is a page too, within the same policy."""
    desk.guard.tolerate("403")
    page = await desk.open(live=False, superuser=False)
    await expect(page.get_by_role("heading")).to_have_text("You may not see this page")
    await expect(page.locator("#live, script")).to_have_count(0)
    assert await screen.sideways(page) <= 0
    assert await screen.violations(page) == []


async def test_live_tables_are_no_live_regions(desk: Desk) -> None:
    """dashboard-42: the one live region is the polite status; tables and counters say nothing by themselves."""
    await database_sync_to_async(world.fill)()
    page = await desk.open()
    await expect(page.locator("[role=status]")).to_have_count(1)
    await expect(page.locator("main [aria-live], main [role=status], main [role=log]")).to_have_count(0)
    await expect(page.get_by_role("status")).to_have_text("Live")


async def test_nothing_moves_where_motion_is_not_wanted(desk: Desk) -> None:
    """dashboard-43: a new row gets a mark that stands still."""
    link = await database_sync_to_async(make_link)()
    page = await desk.open(reduced_motion="reduce")
    await database_sync_to_async(makers.hit)(link)
    row = page.locator("tr[data-fresh]")
    await expect(row).to_have_count(1)
    assert await page.evaluate("() => document.getAnimations().length") == 0
    assert await row.evaluate("(row) => getComputedStyle(row).boxShadow") != "none"


async def test_new_row_is_tinted_where_motion_is_wanted(desk: Desk) -> None:
    """dashboard-43: the counterpart, so that the test above can fail."""
    link = await database_sync_to_async(make_link)()
    page = await desk.open(reduced_motion="no-preference")
    await page.evaluate("() => addEventListener('animationstart', (event) => { window.begun = event.animationName; })")
    await database_sync_to_async(makers.hit)(link)
    await page.wait_for_function("() => window.begun === 'lr-fresh'")
    await expect(page.locator("tr[data-fresh]")).to_have_count(0)


async def test_keyboard_reaches_everything_in_reading_order(desk: Desk) -> None:
    """dashboard-41: the skip link comes first and leads past the bar."""
    await database_sync_to_async(world.fill)()
    page = await desk.open()
    reached: list[str] = []
    while "Delivery" not in reached and len(reached) < 60:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("() => document.activeElement.textContent.trim()"))
    assert reached[0] == "Skip to content"
    tabs = await page.locator(".lr-tabs__tab").all_inner_texts()
    name = await page.locator(".lr-account__name").inner_text()
    bar = ["Referrals", *tabs, "Pause", name, "Today", "24 hours", "7 days", "30 days", "Dates", "Numbers"]
    assert reached[1 : 1 + len(bar)] == bar
    assert reached[-5:] == ["Hit", "Claim", "Confirmation", "Reversal", "Delivery"]
    await page.locator(".lr-skip").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
