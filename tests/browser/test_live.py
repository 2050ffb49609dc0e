"""What happens shows by itself, never what did not happen, and the person can stop it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.db import transaction
from playwright.async_api import expect

from tests.browser import screen
from tests.dashboard import makers
from tests.factories import home_link, make_link, make_partner
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page

    from livereferrals.tracking.models import ReferralLink
    from tests.browser.conftest import Desk
    from tests.servers import HostServer

pytestmark = pytest.mark.django_db(transaction=True)

WITHIN_MS = 30_000
"""How soon a commit shows: promised is a second, on a machine that does nothing else."""


@database_sync_to_async
def a_link() -> ReferralLink:
    return home_link(make_partner(name="Acme"))


async def write(act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Write rows in another thread than the loop's."""
    return await database_sync_to_async(act)(*args, **kwargs)


async def follow(desk: Desk, server: HostServer, link: ReferralLink) -> None:
    """Follow a link over HTTP, as a stranger's browser does."""
    stranger = await desk.browser.new_context()
    answer = await stranger.request.get(
        server.url(f"/ref/{link.identifier}"),
        max_redirects=0,
        headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    )
    assert answer.status == 302
    await stranger.close()


async def test_hit_by_real_http_shows_within_a_second(desk: Desk, server: HostServer) -> None:
    """dashboard-3: without reload; dashboard-2: the page says where it is."""
    link = await a_link()
    page = await desk.open()
    before = await page.locator("main").get_attribute("data-cursor")
    await page.evaluate("() => { window.untouched = true; }")
    await follow(desk, server, link)
    await screen.expect_metric(page, "hits", "1", timeout_ms=WITHIN_MS)
    row = page.locator("tr[data-type=hit]")
    await expect(row).to_contain_text("Acme")
    await expect(row).to_contain_text(link.identifier)
    await expect(page.locator("main")).not_to_have_attribute("data-cursor", before or "")
    assert await page.evaluate("() => window.untouched")


async def test_every_type_of_event_shows(desk: Desk) -> None:
    """dashboard-4: confirmation, claim, reversal and delivery, each as word and icon."""
    link = await a_link()
    page = await desk.open()
    await write(makers.hit, link)
    await write(makers.claim, link)
    confirmation = await write(makers.confirmed, link, amount="129.90", currency="EUR")
    await write(makers.delivered, link)
    await screen.expect_metric(page, "confirmations", "1")
    await screen.expect_metric(page, "amount-EUR", "129.90")
    await write(makers.reversed_, confirmation)
    await screen.expect_metric(page, "confirmations", "0")
    words = {
        "hit": "Hit",
        "claim": "Claim",
        "confirmation": "Confirmation",
        "delivery": "Delivery",
        "reversal": "Reversal",
    }
    for kind, word in words.items():
        cell = page.locator(f"tr[data-type={kind}] td:nth-child(2)")
        await expect(cell).to_have_text(word)
        await expect(cell.locator("use")).to_have_attribute("href", f"#lr-{kind}")


async def test_what_was_rolled_back_never_shows(desk: Desk) -> None:
    """dashboard-5: a later hit proves that the page would have shown it by then."""
    link = await a_link()
    page = await desk.open()

    def order_and_think_better_of_it() -> None:
        with transaction.atomic():
            makers.confirmed(link, amount="99.00", currency="EUR")
            transaction.set_rollback(True)

    await write(order_and_think_better_of_it)
    await write(makers.hit, link)
    await screen.expect_metric(page, "hits", "1")
    await expect(page.locator("tr[id^=event-]")).to_have_count(1)
    await expect(page.locator("[data-type=confirmation]")).to_have_count(0)


async def test_pause_holds_everything_and_counts_what_is_new(desk: Desk) -> None:
    """dashboard-19: with the key `p`; on resume the page is right at once."""
    link = await a_link()
    page = await desk.open()
    await write(makers.hit, link)
    await screen.expect_metric(page, "hits", "1")
    await page.keyboard.press("p")
    await screen.expect_state(page, "paused")
    for _ in range(3):
        await write(makers.hit, link)
    await expect(page.locator(".lr-status__text")).to_contain_text("3 new")
    assert (await screen.metrics(page))["hits"] == "1"
    await expect(page.locator("tr[id^=event-]")).to_have_count(1)
    await page.get_by_role("button", name="Resume").click()
    await screen.expect_metric(page, "hits", "4", timeout_ms=WITHIN_MS)
    await screen.expect_state(page, "live")


async def test_pause_is_kept_for_the_tab(desk: Desk) -> None:
    """dashboard-20: over a reload and over a new socket, not in another tab."""
    link = await a_link()
    page = await desk.open()
    await page.get_by_role("button", name="Pause").click()
    await page.reload()
    await screen.expect_state(page, "paused")
    await write(makers.hit, link)
    await expect(page.locator(".lr-status__text")).to_contain_text("1 new")
    assert (await screen.metrics(page))["hits"] == "0"
    other = await page.context.new_page()
    await other.goto(page.url)
    await screen.expect_state(other, "live")


async def test_filter_changes_the_address_and_what_is_live(desk: Desk) -> None:
    """dashboard-21, dashboard-22: the rows that come after it are of the chosen type; a reload gives the same."""
    link = await a_link()
    await write(makers.hit, link)
    page = await desk.open()
    await page.get_by_role("navigation", name="Types of events").get_by_role("link", name="Claim").click()
    await expect(page).to_have_url(f"{desk.server.url('/referrals/')}?type=claim")
    await expect(page.locator("#events")).to_contain_text("Nothing of this kind yet")
    await write(makers.hit, link)
    await write(makers.claim, link)
    await screen.expect_metric(page, "claims", "1")
    await screen.expect_metric(page, "hits", "2")
    await expect(page.locator("tr[id^=event-]")).to_have_count(1)
    await page.reload()
    await expect(page.locator("tr[id^=event-]")).to_have_count(1)
    await expect(page.get_by_role("link", name="Claim")).to_have_attribute("aria-current", "true")


async def test_back_and_forward_through_filters(desk: Desk) -> None:
    """dashboard-23: right content and title each time, and still live on one socket."""
    link = await a_link()
    await write(makers.hit, link)
    page = await desk.open()
    sockets: list[object] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # Playwright takes no built-in as a listener
    ranges = page.get_by_role("navigation", name="Range of the counters")
    for name in ("24 hours", "7 days", "30 days"):
        await ranges.get_by_role("link", name=name).click()
        await expect(page).to_have_title(f"Overview · {name}")
    await page.go_back()
    await expect(page).to_have_title("Overview · 7 days")
    await page.go_back()
    await page.go_back()
    await expect(page).to_have_title("Overview · Today")
    await expect(ranges.get_by_role("link", name="Today")).to_have_attribute("aria-current", "true")
    await page.go_forward()
    await expect(page).to_have_title("Overview · 24 hours")
    await write(makers.hit, link)
    await screen.expect_metric(page, "hits", "2")
    assert sockets == []


async def test_rows_are_held_while_the_pointer_is_among_them(desk: Desk) -> None:
    """dashboard-29: a button counts what is new; counters go on."""
    link = await a_link()
    await write(makers.hit, link)
    page = await desk.open()
    await page.locator("tr[id^=event-]").hover()
    await write(makers.hit, link)
    await screen.expect_metric(page, "hits", "2")
    fresh = page.locator(".lr-fresh")
    await expect(fresh).to_have_text("1 new")
    await expect(page.locator("tr[id^=event-]")).to_have_count(1)
    await fresh.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("tr[id^=event-]")).to_have_count(2)
    await expect(fresh).to_be_hidden()


async def test_open_list_of_types_and_focus_survive_frames(desk: Desk) -> None:
    """dashboard-28, dashboard-30: what the person has opened stays open."""
    link = await a_link()
    page = await desk.open(viewport={"width": 360, "height": 640})
    await page.locator("#types > summary").click()
    claim = page.get_by_role("link", name="Claim")
    await claim.focus()
    for count in range(1, 4):
        await write(makers.hit, link)
        await screen.expect_metric(page, "hits", str(count))
    await expect(claim).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{desk.server.url('/referrals/')}?type=claim")
    await expect(claim).to_have_attribute("aria-current", "true")
    await expect(page.locator("#types")).to_have_attribute("open", "")
    await expect(claim).to_be_focused()


async def test_each_frame_is_acknowledged_once_shown(desk: Desk) -> None:
    """dashboard-6: without the `ack` the server would wait 5 s with the next."""
    link = await a_link()
    page = await desk.open()
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(str(text))))
    await page.reload()
    await screen.expect_state(page, "live")
    await write(makers.hit, link)
    await screen.expect_metric(page, "hits", "1")
    cursor = await page.locator("main").get_attribute("data-cursor")
    await eventually(lambda: json.dumps({"type": "ack", "cursor": cursor}, separators=(",", ":")) in sent)


async def test_two_tabs_end_with_the_same_numbers(desk: Desk) -> None:
    """dashboard-8."""
    link = await a_link()
    pages = [await desk.open(), await desk.open()]
    for _ in range(5):
        await write(makers.hit, link)
    await write(makers.confirmed, link, amount="8.50", currency="EUR")
    for page in pages:
        await screen.expect_metric(page, "confirmations", "1")
    assert await settled(pages[0]) == await settled(pages[1])


async def settled(page: Page) -> dict[str, str]:
    """Return the numbers once all five hits are shown."""
    await screen.expect_metric(page, "hits", "5")
    return await screen.metrics(page)


async def test_hostile_names_are_inert(desk: Desk) -> None:
    """dashboard-54: in the page and in a frame."""
    name = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    link = await database_sync_to_async(lambda: make_link(partner=make_partner(name=name)))()
    page = await desk.open()
    page.on("dialog", lambda dialog: desk.guard.complaints.append(dialog.message))
    await write(makers.hit, link, landing="/<script>alert(3)</script>")
    await expect(page.locator("tr[data-type=hit]")).to_contain_text(name)
    await page.reload()
    await expect(page.locator("tr[data-type=hit]")).to_contain_text(name)
    assert await page.locator("#events img, #events script").count() == 0
