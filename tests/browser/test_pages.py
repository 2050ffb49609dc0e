"""What holds of every page of the dashboard; one server for all of them."""

from __future__ import annotations

import itertools
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
import pytest_asyncio
from channels.db import database_sync_to_async
from django.conf import settings
from playwright.async_api import expect

from livereferrals.dashboard import catalogue
from livereferrals.dashboard.addresses import address
from livereferrals.streaming import tokens
from tests.browser import screen, world
from tests.browser.conftest import Guard, sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, BrowserContext, Page

    from tests.servers import HostServer

WIDTHS: Final = (1280, 360)
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
LOOKS: Final = (
    tuple(itertools.product(SCHEMES, WIDTHS))
    if "LIVEREFERRALS_SOAK" in os.environ
    else tuple(zip(SCHEMES, WIDTHS, strict=True))
)
"""Each scheme and each width once; all of their combinations where there is time."""
WINDOWS: Final = ((1280, 800), (768, 600), (390, 844), (360, 640), (320, 256))
"""The last is 1280 x 1024 at 400 %."""
ACTS: Final = {
    "confirmation": ("reverse",),
    "delivery": ("retry", "resend", "cancel"),
    "endpoint": ("test", "pause", "enable", "replay"),
}
"""What can be done on each page that asks before."""
NOBODY: Final = uuid.UUID(int=0)
STEPS: Final = 200
"""More presses of Tab than any page has stops."""
SPACED: Final = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`html { font-size: 200% } * { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important } p { margin-block-end: 2em !important }`);
    document.adoptedStyleSheets = [sheet];
}"""
"""Twice the text's size, and the spacing of WCAG 1.4.12."""
CUT: Final = """() => Array.from(document.querySelectorAll("body *")).filter((item) => {
    const { overflowX, overflowY, clipPath } = getComputedStyle(item);
    if (clipPath !== "none" || item.closest(".lr-hidden, .lr-skip, svg, [hidden]")) return false;
    return (/hidden|clip/.test(overflowX) && item.scrollWidth > item.clientWidth + 1)
        || (/hidden|clip/.test(overflowY) && item.scrollHeight > item.clientHeight + 1);
}).map((item) => item.outerHTML.slice(0, 120))"""
FOCUSED: Final = """() => {
    const item = document.activeElement;
    if (item === null || item === document.body) return null;
    const { outlineStyle, outlineWidth } = getComputedStyle(item);
    const { left, right, top, bottom, width, height } = item.getBoundingClientRect();
    const above = document.elementsFromPoint((left + right) / 2, (top + bottom) / 2);
    const found = above.some((other) => item.contains(other) || other.contains(item));
    window.stops ??= new Map();
    if (!window.stops.has(item)) window.stops.set(item, window.stops.size);
    return {
        html: item.outerHTML.slice(0, 120), number: window.stops.get(item), found,
        outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2, size: Math.min(width, height),
    };
}"""
BLANK: Final = "(bodies) => bodies.filter((body) => body.rows.length === 0).length"
REACHABLE: Final = """() => Array.from(document.querySelectorAll("a[href], button, input:not([type=hidden]), summary"))
    .filter((item) => item.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })).length"""

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@dataclass(frozen=True)
class Site:
    """A running server with some of everything."""

    server: HostServer
    paths: dict[str, str]
    session: str

    async def window(self, browser: Browser, **options: bool) -> BrowserContext:
        """Open a browser window in which staff are signed in."""
        context = await browser.new_context(**options)  # type: ignore[arg-type] # a named argument each there
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": self.session, "url": self.server.url()}
        await context.add_cookies([cookie])  # type: ignore[list-item] # a TypedDict there
        return context

    def url(self, name: str) -> str:
        """Return where a page is."""
        return self.server.url(self.paths[name])


@pytest.fixture
def site(server: HostServer) -> Site:
    """The server with some of everything, and somebody who may see it."""
    return Site(server, world.paths(world.fill()), sign_in(superuser=True))


@pytest_asyncio.fixture(loop_scope="session")
async def page(site: Site, browser: Browser, guard: Guard) -> AsyncIterator[Page]:
    """A window of staff, watched."""
    context = await site.window(browser)
    tab = await context.new_page()
    guard.watch(tab)
    yield tab
    await context.close()


every_page = pytest.mark.parametrize("name", world.PAGES)


@every_page
async def test_page_is_accessible_in_each_look(page: Page, site: Site, name: str) -> None:
    """dashboard-44: axe finds nothing, light and dark, wide and narrow; dashboard-42: one polite status."""
    await page.goto(site.url(name))
    await screen.expect_state(page, "live")
    await expect(page.locator("[role=status]")).to_have_count(1)
    await expect(page.locator("main [aria-live], main [role=status], main [role=log]")).to_have_count(0)
    for scheme, width in LOOKS:
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 800})
        assert await screen.violations(page) == [], f"{scheme}, {width} px"


@every_page
async def test_page_fits_each_window(page: Page, site: Site, name: str) -> None:
    """dashboard-45: no sideways scroll, at 400 % and with large, spaced text either; nothing is cut."""
    await page.goto(site.url(name))
    await screen.expect_state(page, "live")
    for width, height in WINDOWS:
        await page.set_viewport_size({"width": width, "height": height})
        assert await screen.sideways(page) <= 0, width
        for menu in await page.locator("summary:visible").all():
            await menu.click()
            assert await screen.sideways(page) <= 0, f"{width}, open: {await menu.inner_text()}"
            await menu.click()
        assert await page.evaluate(CUT) == [], width
    await page.set_viewport_size({"width": 640, "height": 640})
    await page.evaluate(SPACED)
    assert await screen.sideways(page) <= 0, "spaced"
    assert await page.evaluate(CUT) == [], "spaced"


@every_page
async def test_page_is_walked_by_keyboard_alone(page: Page, site: Site, name: str) -> None:
    """dashboard-41: every control is reached in order, seen when it has the focus, not covered, and large enough."""
    await page.add_init_script("sessionStorage.setItem('livereferrals.paused', '1')")  # what moves would move the stops
    await page.goto(site.url(name))
    await screen.expect_state(page, "paused")
    await page.set_viewport_size({"width": 1280, "height": 800})
    reachable = await page.evaluate(REACHABLE)
    stops: list[dict[str, Any]] = []
    for _ in range(STEPS):
        await page.keyboard.press("Tab")
        stop = await page.evaluate(FOCUSED)
        if stop is None or stop["number"] < len(stops):
            break
        assert stop["outlined"], stop
        assert stop["found"], stop
        assert stop["size"] >= 14, stop
        stops.append(stop)
    assert stops[0]["html"].startswith('<a class="lr-skip"')
    assert len(stops) >= reachable


async def test_questions_and_refusals_are_accessible_in_each_look(page: Page, site: Site, guard: Guard) -> None:
    """dashboard-32, dashboard-45: every page that asks before it acts, and those that say no"""
    guard.tolerate("404")
    token = (await database_sync_to_async(tokens.issue)(name=world.LONG))[0]
    acts = {name: [f"{site.paths[name]}{act}/" for act in found] for name, found in ACTS.items()}
    asking = [*itertools.chain(*acts.values()), address("token_new"), address("dry_run")]
    asking += [address(name, token.pk) for name in ("token_rotate", "token_revoke")]
    for path in (*asking, address("link", NOBODY)):
        answer = await page.goto(site.server.url(path))
        assert answer is not None
        assert answer.status == (404 if str(NOBODY) in path else 200), path
        for scheme, width in LOOKS:
            await page.emulate_media(color_scheme=scheme)
            await page.set_viewport_size({"width": width, "height": 800})
            assert await screen.violations(page) == [], f"{path}, {scheme}, {width} px"
            assert await screen.sideways(page) <= 0, f"{path}, {width} px"


async def test_filters_of_a_list_stand_behind_one_button_on_a_phone(page: Page, site: Site) -> None:
    """dashboard-45: in a line where there is room; closed again by Escape, with the focus on its button"""
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(site.url("hits"))
    await screen.expect_state(page, "live")
    fields, button = page.locator(".lr-sieve .lr-search__text"), page.locator(".lr-sieve > summary")
    await expect(fields.last).to_be_visible()
    await expect(button).to_be_hidden()
    await page.set_viewport_size({"width": 360, "height": 640})
    await expect(fields.last).to_be_hidden()
    await button.click()
    await expect(fields.last).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(fields.last).to_be_hidden()
    await expect(button).to_be_focused()


async def test_pages_are_whole_without_script(site: Site, browser: Browser, guard: Guard) -> None:
    """dashboard-1, dashboard-2: a cursor, a heading, and no button that needs a script."""
    context = await site.window(browser, java_script_enabled=False)
    page = await context.new_page()
    guard.watch(page)
    for name in world.PAGES:
        await page.goto(site.url(name))
        assert await page.locator("main").get_attribute("data-view") == name
        assert "." in (await page.locator("main").get_attribute("data-cursor") or "")
        await expect(page.locator("h1")).to_have_count(1)
        await expect(page.locator("#status")).to_contain_text("As of")
        await expect(page.locator("button[type=button]:visible")).to_have_count(0)
        assert world.NASTY not in await page.content()
    await context.close()


async def test_controls_are_seen_in_forced_colours(page: Page, site: Site) -> None:
    """dashboard-44: what a background or a colour says is said by a border too."""
    await page.emulate_media(forced_colors="active")
    for name in world.PAGES:
        await page.goto(site.url(name))
        for button in await page.locator(".lr-button:visible").all():
            shown = await button.evaluate("(item) => getComputedStyle(item).borderStyle")
            assert shown == "solid", name
        current = page.locator(".lr-tabs__tab[aria-current]")
        if await current.count():
            line = "(item) => getComputedStyle(item).borderBlockEndColor"
            other = page.locator(".lr-tabs__tab:not([aria-current])").first
            assert await current.evaluate(line) != await other.evaluate(line), name


async def test_pages_are_mirrored_for_scripts_that_run_from_right_to_left(
    site: Site, browser: Browser, guard: Guard
) -> None:
    """dashboard-46: the bar and every table begin on the right, and nothing stands out."""
    context = await site.window(browser)
    page = await context.new_page()
    guard.watch(page)
    await page.add_init_script(
        "addEventListener('DOMContentLoaded', () => document.documentElement.setAttribute('dir', 'rtl'))"
    )
    for name in world.PAGES:
        await page.goto(site.url(name))
        await screen.expect_state(page, "live")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            brand = await page.locator(".lr-bar__name").bounding_box()
            assert brand is not None
            assert brand["x"] + brand["width"] > width * 0.9, name
            assert await screen.sideways(page) <= 0, f"{name}, {width}"
    await context.close()


async def test_pages_of_an_empty_database_say_what_would_be_here(
    server: HostServer, browser: Browser, guard: Guard
) -> None:
    """dashboard-52: no blank table anywhere; each list has words in its place, and every page works."""
    empty = {page.name: page for page in catalogue.PAGES if world.is_unbound(page.name)}
    site = Site(server, world.paths({}, names=tuple(empty)), await database_sync_to_async(sign_in)(superuser=True))
    context = await site.window(browser)
    page = await context.new_page()
    guard.watch(page)
    for name, shown in empty.items():
        await page.goto(site.url(name))
        await screen.expect_state(page, "live")
        assert await page.locator("tbody:not(details *)").evaluate_all(BLANK) == 0, name
        if "list" in shown.regions:
            assert await page.locator("#list .lr-empty").inner_text(), name
    await context.close()
