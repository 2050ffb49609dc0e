"""A part that fails, and rows that go, while somebody looks: the rest stays live and right."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection
from django.utils import timezone
from playwright.async_api import expect

from livereferrals.dashboard import rollups
from livereferrals.events import log, retention
from livereferrals.events.models import Event
from tests.browser import screen
from tests.dashboard import makers
from tests.factories import make_link

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

CONFIRMATIONS = "livereferrals_confirmation"
WITHIN_MS = 60_000
"""On a machine that does nothing else it is a second."""


async def write(act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Work with the database in another thread than the loop's."""
    return await database_sync_to_async(act)(*args, **kwargs)


def rename(before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


async def test_database_error_in_one_region_leaves_the_others_live(desk: Desk) -> None:
    """dashboard-53: it says so in its place, the others go on, and it comes back without a reload or an event."""
    link = await write(make_link)
    page = await desk.open()
    latest = page.locator("#latest")
    await expect(latest).to_contain_text("No confirmations yet")
    await page.evaluate("() => { window.stayed = true; }")
    await write(rename, CONFIRMATIONS, f"{CONFIRMATIONS}_away")
    try:
        await write(makers.hit, link)
        await screen.expect_metric(page, "hits", "1", timeout_ms=WITHIN_MS)
        await expect(latest).to_contain_text("this part could not be read", timeout=WITHIN_MS)
        await expect(latest).to_contain_text("Reference")
        await write(makers.hit, link)
        await screen.expect_metric(page, "hits", "2", timeout_ms=WITHIN_MS)
        await expect(page.locator("[data-failed]")).to_have_count(1)
        assert await screen.violations(page) == []
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 360, "height": 640})
        assert await screen.violations(page) == []
        assert await screen.sideways(page) <= 0
        await latest.get_by_role("link", name="Try again").click()
        await screen.expect_state(page, "live")
    finally:
        await write(rename, f"{CONFIRMATIONS}_away", CONFIRMATIONS)
    await expect(latest).to_contain_text("No confirmations yet", timeout=WITHIN_MS)
    await expect(page.locator("[data-failed]")).to_have_count(0)
    assert await page.evaluate("() => window.stayed")


async def test_numbers_stay_right_when_old_events_are_pruned(desk: Desk) -> None:
    """dashboard-7: totals outlive the rows that they were made of"""
    link = await write(make_link)
    week = timezone.now() - timedelta(days=3)
    for moment in (week, week, timezone.now()):
        await write(makers.hit, link, at=moment)
    await write(makers.confirmed, link, amount="12.50", currency="EUR")
    await write(rollups.advance)
    page = await desk.open("/referrals/?range=7d")
    before = await screen.metrics(page)
    assert (before["hits"], before["confirmations"], before["amount-EUR"]) == ("3", "1", "12.50")
    head = (await write(log.bounds)).head
    await write(lambda: list(retention.prune(before=timezone.now() + timedelta(days=1), upto=head)))
    assert await write(Event.objects.count) == 0
    await write(makers.hit, link)
    await screen.expect_metric(page, "hits", "4", timeout_ms=WITHIN_MS)
    after = await screen.metrics(page)
    assert {name: after[name] for name in ("confirmations", "amount-EUR")} == {
        "confirmations": "1",
        "amount-EUR": "12.50",
    }
    await page.reload()
    await screen.expect_metric(page, "hits", "4")
