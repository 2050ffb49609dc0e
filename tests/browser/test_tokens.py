"""A feed token's life in the browser: shown once, copied by a press, revoked while its client listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from playwright.async_api import expect

from livereferrals.dashboard.addresses import address
from tests.browser import screen
from tests.factories import make_partner
from tests.streaming.clients import feed

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


async def test_new_token_is_copied_once_and_its_client_ends_with_it(desk: Desk) -> None:
    """dashboard-37: shown once, gone after; a revoked token's client is closed within 10 s, and the list says so."""
    await database_sync_to_async(make_partner)(name="Acme")
    page = await desk.open(address("tokens"), permissions=["clipboard-read", "clipboard-write"])
    await page.get_by_role("link", name="Make a token").click()
    await page.locator("input[name=name]").fill("Warehouse")
    await page.locator("input[name=whose]").fill("Acme")
    await page.locator("form button[type=submit]").click()
    secret = await page.locator("main pre").first.inner_text()
    copy = page.get_by_role("button", name="Copy").first
    await copy.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Copied")
    assert await page.evaluate("() => navigator.clipboard.readText()") == secret
    assert await screen.violations(page) == []
    await page.get_by_role("link", name="Done").click()
    await screen.expect_state(page, "live")
    assert secret not in await page.content()
    async with feed(desk.server, secret) as client:
        await client.until("hello")
        await page.get_by_role("link", name="Revoke").click()
        await page.locator("form button[type=submit]").click()
        message, code = await client.ending()
    assert code == 4501, message
    await expect(page.locator("#list")).to_contain_text("Warehouse")
    await expect(page.locator("#list .lr-tone[data-tone=good]")).to_have_count(0)
