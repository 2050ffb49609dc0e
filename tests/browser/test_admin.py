"""The admin's one script in a real browser: copying, previews, and what the Enter key does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone
from playwright.async_api import expect

from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.tracking.models import Partner
from tests.admin.people import change_url, list_url
from tests.factories import home_link, make_delivery, make_hit, make_partner, make_subscription

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription
    from tests.browser.conftest import Desk, Guard

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_icon(guard: Guard) -> None:
    """Django's admin names no icon, so the browser asks for the host's, and the tests' host has none."""
    guard.tolerate("/favicon.ico")


NARROW = {"width": 360, "height": 800}


@database_sync_to_async
def a_subscription() -> Subscription:
    partner = make_partner(name="Acme", active=False)
    make_hit(link=home_link(partner))
    return make_subscription(partner=partner, trigger="Order paid")


async def test_copy_button_copies_and_says_so(desk: Desk) -> None:
    """D-30: in a region that a screen reader announces; D-01: the whole address, with one click."""
    subscription = await a_subscription()
    page = await desk.open(
        change_url(subscription.partner), live=False, permissions=["clipboard-read", "clipboard-write"]
    )
    await page.locator("[data-lr-copy]").first.click()
    await expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == desk.server.url(f"/ref/{subscription.partner.uid}")


async def test_preview_follows_typing(desk: Desk) -> None:
    """D-16: each subscription of the page has its own."""
    subscription = await a_subscription()
    page = await desk.open(change_url(subscription.partner), live=False)
    first = page.locator("[data-lr-preview]").first
    field = page.locator("[name=subscriptions-0-callback_url]")
    await field.fill("https://partner.example/?x={nope}")
    await expect(first).to_contain_text("There is no placeholder {nope}")
    await field.fill("https://partner.example/?x={click_id}")
    await expect(first).to_contain_text("POST https://partner.example/?x=your-click-4711")
    await page.get_by_text("Add another Subscription").click()
    await page.locator("[name=subscriptions-1-callback_url]").fill("https://other.example/{amount}")
    await expect(page.locator("#subscriptions-1 [data-lr-preview]")).to_contain_text("https://other.example/49.90")
    await expect(first).to_contain_text("your-click-4711")


async def test_enter_key_saves_and_does_not_activate(desk: Desk) -> None:
    """D-03: only the button activates."""
    partner = await database_sync_to_async(make_partner)(name="Acme", active=False)
    page = await desk.open(change_url(partner), live=False)
    await page.fill("#id_name", "Acme Reviews")
    await page.press("#id_name", "Enter")
    await expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    saved = await database_sync_to_async(Partner.objects.get)()
    assert (saved.name, saved.active) == ("Acme Reviews", False)


@database_sync_to_async
def a_test_callback() -> Delivery:
    return make_delivery(kind="test", confirmation=None, due_at=timezone.now())


@database_sync_to_async
def answer(delivery: Delivery) -> None:
    now = timezone.now()
    DeliveryAttempt.objects.create(delivery=delivery, number=1, started_at=now, outcome="ok", status=200)
    delivered = {"state": "delivered", "attempts": 1, "finished_at": now, "last_outcome": "ok", "last_status": 200}
    Delivery.objects.filter(pk=delivery.pk).update(**delivered)


async def test_every_part_of_a_deliverys_page_renews_itself_together(desk: Desk) -> None:
    """D-23: what happened, the fields, and what can be done; a page that contradicts itself is believed by nobody."""
    delivery = await a_test_callback()
    page = await desk.open(change_url(delivery), live=False)
    tools, fields = page.locator(".object-tools"), page.locator("fieldset")
    await expect(tools.get_by_text("Retry now")).to_be_visible()
    await expect(fields.locator(".field-attempts .readonly")).to_have_text("0")
    await answer(delivery)
    await expect(page.locator(".lr-story__state")).to_contain_text("Delivered")
    await expect(tools.get_by_text("Retry now")).to_have_count(0)
    await expect(tools.get_by_text("Cancel")).to_have_count(0)
    await expect(fields.locator(".field-state .readonly")).to_have_text("delivered")
    await expect(fields.locator(".field-attempts .readonly")).to_have_text("1")
    await expect(page.locator(".lr-try details[open]")).to_have_count(1)


async def test_pages_fit_a_telephone(desk: Desk) -> None:
    """D-30: nothing but tables scrolls sideways at 360 pixels."""
    subscription = await a_subscription()
    page = await desk.open(list_url("partner"), live=False, viewport=NARROW)
    for path in (
        list_url("partner"),
        list_url("referralhit"),
        change_url(subscription),
        change_url(subscription.partner),
    ):
        await page.goto(desk.server.url(path))
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path
