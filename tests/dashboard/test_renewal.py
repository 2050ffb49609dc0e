"""Sockets that are too many, and pages of an older release."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from livereferrals.dashboard import assets, crowding
from tests.dashboard import makers
from tests.dashboard.sockets import WAIT_S, Browser, sign_in
from tests.factories import make_link, make_partner, make_staff, make_user

if TYPE_CHECKING:
    from livereferrals.tracking.models import ReferralLink

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@pytest.fixture
async def client() -> Client:
    return await sign_in(await in_db(make_staff)())


async def test_twenty_pages_of_one_session_are_live_and_the_next_hears_why(client: Client) -> None:
    """dashboard-27"""
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(Browser(client)) for _ in range(crowding.SOCKETS)]
        for page in pages:
            await page.control("hello")
        await makers_hit()
        for page in pages:
            await page.frame_with(hits="1")
        async with Browser(client, language="de") as crowded:
            assert await crowded.closed() == 4029
            assert crowded.controls[-1]["code"] == "too_many_connections"
            assert str(crowding.SOCKETS) in crowded.controls[-1]["text"]
        async with Browser(await sign_in(await in_db(make_staff)())) as other:
            await other.control("hello")
    async with Browser(client) as later:
        await later.control("hello")


async def makers_hit() -> None:
    await in_db(lambda: makers.hit(make_link()))()


async def test_page_of_older_files_is_told_to_load_anew(client: Client) -> None:
    """dashboard-55"""
    async with Browser(client, assets="0123456789ab") as page:
        said = await page.control("reload")
        assert (said["reason"], said["assets"]) == ("assets", assets.version())
        await page.frame()


async def test_page_of_these_files_is_not(client: Client) -> None:
    """dashboard-55"""
    async with Browser(client, assets=assets.version()) as page:
        await page.frame()
        assert [message["type"] for message in page.controls] == ["hello"]


def test_other_addresses_of_the_files_are_a_new_release(settings: pytest.FixtureRequest) -> None:
    """dashboard-55: with a manifest a changed file has another address"""
    before = assets.version()
    settings.STATIC_URL = "/other/"  # type: ignore[attr-defined] # pytest-django's wrapper takes any name
    assert assets.version() != before


async def test_pause_of_a_partner_counts_its_own_events_alone() -> None:
    """dashboard-38: no totals that would reveal others"""

    def prepare() -> tuple[Client, ReferralLink, ReferralLink]:
        user = make_user()
        browser = Client()
        browser.force_login(user)
        return browser, make_link(partner=make_partner(user=user)), make_link()

    browser, own, foreign = await in_db(prepare)()
    async with Browser(browser) as page:
        await page.frame()
        await page.say("pause")
        for link in (foreign, foreign, own, foreign):
            await in_db(makers.hit)(link)
        async with asyncio.timeout(WAIT_S):
            while (await page.control("waiting"))["n"] != 1:
                pass
        assert {message["n"] for message in page.controls if message["type"] == "waiting"} <= {0, 1}
