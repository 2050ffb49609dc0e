"""Sharing a link from its page in a real browser, and watching it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from playwright.async_api import expect

from livereferrals.tracking.models import ReferralHit
from tests.browser import screen
from tests.dashboard import makers
from tests.dashboard.screens import url_of
from tests.factories import make_link

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

write = database_sync_to_async


async def test_link_is_copied_whole_tried_without_a_hit_and_watched(desk: Desk) -> None:
    """dashboard-3: a hit shows by itself; the copied address has the site's name, the picture is drawn"""
    link = await write(make_link)(identifier="spring")
    page = await desk.open(url_of("link", link.pk), permissions=["clipboard-read", "clipboard-write"])
    await page.locator("#link [data-copy]").click()
    await expect(page.locator("#link [data-copy]")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == desk.server.url("/ref/spring")
    await expect(page.locator("#link img")).to_have_js_property("complete", value=True)
    assert await page.locator("#link img").evaluate("image => image.naturalWidth > 0")
    await write(makers.hit)(link)
    await screen.expect_metric(page, "hits", "1")
    trial = await page.locator("#link a[target=_blank]").get_attribute("href")
    answer = await page.request.get(desk.server.url(trial or ""), max_redirects=0)
    assert answer.status == 302
    assert await write(ReferralHit.objects.count)() == 0
