"""The delivery console before a browser: it counts by the server's clock, acts when asked to, and shows text as text."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.admin.models import LogEntry
from django.utils import timezone
from playwright.async_api import expect

from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.dashboard.addresses import address
from tests.browser import screen
from tests.callbacks.running import LOOPBACK, running_worker
from tests.factories import make_delivery, make_subscription
from tests.partner import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.async_api import Page
    from pytest_django.fixtures import Settings

    from tests.browser.conftest import Desk
    from tests.servers import PartnerSink

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

PAYLOAD = {"type": "confirmation", "cursor": "e.1", "time": "2026-05-01T12:30:00.000Z", "data": {}}
WRONG_BY_3_HOURS = "{ const now = Date.now.bind(Date); Date.now = () => now() + 3 * 3600 * 1000; }"
SOON_S = 8
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(autouse=True)
def _loopback(settings: Settings) -> None:
    """A worker of the test may call a partner on this machine."""
    settings.LIVEREFERRALS = {"CALLBACKS": {"ALLOW": LOOPBACK}}


async def made(act: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Write rows in another thread than the loop's."""
    return await database_sync_to_async(act)(*args, **kwargs)


def waiting(sink: PartnerSink | None = None, *, in_s: float = 3600, **values: Any) -> Delivery:
    """Make a delivery whose next attempt is made then."""
    url = "https://partner.example/callback" if sink is None else sink.url()
    subscription = make_subscription(callback_url=url, allow_plain_http=True)
    due_at = timezone.now() + timedelta(seconds=in_s)
    return make_delivery(subscription=subscription, due_at=due_at, payload=PAYLOAD, **values)


async def act_on(page: Page, name: str) -> None:
    """Press the button, and the one of the page that asks."""
    await page.locator(".lr-acts").get_by_role("link", name=name, exact=True).click()
    await expect(page.locator("main.lr-ask")).to_be_visible()
    assert await page.locator("form button[type=submit]").count() == 1
    await page.locator("form button[type=submit]").click()


async def test_countdown_ends_in_due_now_and_then_the_outcome_shows(desk: Desk, sink: PartnerSink) -> None:
    """dashboard-31: a browser's clock that is wrong by three hours makes no difference."""
    row = await made(waiting, sink, in_s=SOON_S)
    context = await desk.context()
    page = await context.new_page()
    desk.guard.watch(page)
    await page.add_init_script(WRONG_BY_3_HOURS)
    await page.goto(desk.server.url(address("deliveries")))
    await screen.expect_state(page, "live")
    line = page.locator(f"#deliveries-{row.pk}")
    count = line.locator("time[data-countdown]")
    shown = await count.inner_text()
    assert shown == "due now" or 0 < int(shown.split(" sec")[0]) <= SOON_S
    assert str(timezone.localtime(row.due_at).year) in (await count.get_attribute("title") or "")
    await expect(count).to_have_text("due now")
    with running_worker():
        await expect(line).to_contain_text("delivered (200)")
    await expect(count).to_have_count(0)


async def test_delivery_is_sent_again_and_cancelled_at_a_press(desk: Desk) -> None:
    """dashboard-32, dashboard-41: each act asks first, is done, and is recorded with who did it."""
    row = await made(waiting)
    page = await desk.open(address("delivery", row.pk))
    await act_on(page, "Retry now")
    await expect(page.locator("#delivery time[data-countdown]")).to_have_text("due now")
    await act_on(page, "Cancel")
    await expect(page.locator("#delivery")).to_contain_text("Cancelled")
    await act_on(page, "Resend")
    await expect(page.locator("#delivery")).to_contain_text("Waiting")
    assert await made(LogEntry.objects.count) == 3


async def test_endpoint_is_tested_paused_and_enabled_at_a_press(desk: Desk, sink: PartnerSink) -> None:
    """dashboard-32: what the partner answered to the test appears by itself on its page."""
    sink.answer_with(Answer(status=202, body=b"noted"))
    row = await made(waiting, sink)
    page = await desk.open(address("endpoint", row.subscription.uid))
    await act_on(page, "Pause")
    await expect(page.locator("#delivery_endpoint")).to_contain_text("paused by")
    await act_on(page, "Enable")
    await expect(page.locator("#delivery_endpoint")).to_contain_text("in service")
    await act_on(page, "Send a test")
    await expect(page.locator("#delivery")).to_contain_text("the answer appears here")
    with running_worker():
        await expect(page.locator("#delivery")).to_contain_text("noted")


async def test_two_people_who_press_retry_at_once_make_one_attempt(desk: Desk, sink: PartnerSink) -> None:
    """dashboard-33: who comes second is told to look again, or finds it under way."""
    row = await made(waiting, sink, attempts=1, last_outcome="server_error")
    pages = [await desk.open(address("delivery", row.pk)) for _ in range(2)]
    for page in pages:
        await page.locator(".lr-acts").get_by_role("link", name="Retry now", exact=True).click()
    desk.guard.tolerate("409")
    await asyncio.gather(*(page.locator("form button[type=submit]").click() for page in pages))
    for page in pages:
        # Back on its page, or told why not.
        await expect(page.locator("#delivery, main.lr-ask [role=alert]")).to_have_count(1)
    with running_worker():
        page = await desk.open(address("delivery", row.pk))
        await expect(page.locator("#delivery")).to_contain_text("Delivered")
    assert len(sink.calls) == 1
    assert await made(DeliveryAttempt.objects.filter(delivery=row).count) == 1


async def test_answer_of_a_mebibyte_with_a_script_in_it_is_cut_text(desk: Desk, sink: PartnerSink) -> None:
    """dashboard-34: it really came over the wire, and nothing of it runs."""
    sink.answer_with(Answer(status=500, body=NASTY.encode() + b"x" * 1024 * 1024))
    row = await made(waiting, sink, in_s=0)
    page = await desk.open(address("delivery", row.pk))
    page.on("dialog", lambda dialog: desk.guard.complaints.append(dialog.message))
    with running_worker():
        answer = page.locator("#answer-1")
        await expect(answer).to_have_count(1)
    await answer.locator("summary").click()
    text = await answer.inner_text()
    assert NASTY in text
    assert len(text) < 4096
    assert await page.locator("#delivery script, #delivery img").count() == 0
