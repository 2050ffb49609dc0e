"""Live frames of the pages of one partner, link or confirmation: the same regions, at a later cursor."""

from __future__ import annotations

import re
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from livereferrals import api
from tests.dashboard import makers
from tests.dashboard.screens import page, partner_browser, partner_of
from tests.dashboard.sockets import Browser
from tests.factories import home_link, make_confirmation, make_hit, make_link, make_partner, make_staff

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@database_sync_to_async
def staff_client() -> Client:
    client = Client()
    client.force_login(make_staff())
    return client


def watch(client: Client, view: str, subject: object, text: str) -> Browser:
    """Open the page's socket where the page stands."""
    place: dict[str, Any] = {"cursor": makers.cursor_of(text), "period": makers.period_of(text)}
    return Browser(client, view=view, subject=str(subject), **place)


def region(markup: str, name: str) -> str:
    """Return a region as it stands on a page or in a frame, without what tells a frame."""
    found = re.search(rf'<section id="{name}".*?</section>', markup, re.DOTALL)
    assert found is not None, name
    return found[0].replace(' hx-swap-oob="morph"', "")


async def test_hit_shows_on_its_partners_and_links_page() -> None:
    """dashboard-3: counters, funnel and activity, byte for byte as a reload would show them"""
    client = await staff_client()
    link = await in_db(make_link)()
    uid = partner_of(link).uid
    for view, subject, part in (("partner", uid, "activity"), ("link", link.pk, "funnel")):
        before = await in_db(page)(client, view, subject)
        async with watch(client, view, subject, before) as browser:
            await in_db(makers.hit)(link)
            hits = str(int(makers.metrics(before)["hits"]) + 1)
            await browser.frame_with(hits=hits)
        after = await in_db(page)(client, view, subject)
        assert region(browser.page, part) == region(after, part)
        assert makers.metrics(browser.page) == makers.metrics(after)
        assert "csrf" not in browser.page


async def test_reversal_shows_on_the_page_of_its_confirmation() -> None:
    """dashboard-4"""
    client = await staff_client()
    confirmation = await in_db(make_confirmation)(amount="12.50")
    before = await in_db(page)(client, "confirmation", confirmation.pk)
    async with watch(client, "confirmation", confirmation.pk, before) as browser:
        await in_db(api.reverse)(confirmation, reason="fraud")
        frame = await browser.frame()
        while "fraud" not in frame:
            frame = await browser.frame()
    assert "standing" not in frame
    assert "Reverse</a>" not in frame


async def test_hit_shows_in_the_lists() -> None:
    """dashboard-3"""
    client = await staff_client()
    link = await in_db(make_link)()
    for view in ("partners", "links"):
        before = await in_db(page)(client, view)
        key = link.partner.uid if view == "partners" and link.partner is not None else link.pk
        async with watch(client, view, "", before) as browser:
            await in_db(makers.hit)(link)
            await browser.frame_with(**{f"hits-{key}": str(int(makers.metrics(before)[f"hits-{key}"]) + 1)})


async def test_partners_login_gets_frames_of_its_own_alone() -> None:
    """dashboard-38: what happens to others changes nothing, and names nobody"""
    client, own = await in_db(partner_browser)(name="Mine")
    foreign = await in_db(make_partner)(name="Foreign Company")
    before = await in_db(page)(client, "partner", own.uid)
    links = await in_db(home_link)(own), await in_db(home_link)(foreign)
    async with watch(client, "partner", own.uid, before) as browser:
        await in_db(makers.hit)(links[1])
        await in_db(make_hit)(link=links[1])
        await in_db(makers.hit)(links[0])
        frame = await browser.frame_with(hits="1")
    assert "Foreign" not in frame
    assert foreign.uid not in frame


@pytest.mark.parametrize("view", ["partner", "link", "confirmation", "visitor"])
async def test_socket_of_a_foreign_page_is_refused(view: str) -> None:
    """dashboard-15, dashboard-38: what is another partner's is not there, and a visitor's page is for staff"""
    client, _own = await in_db(partner_browser)(name="Mine")
    foreign = await in_db(make_confirmation)(reference="F-1", amount="12.50")
    subjects = {
        "partner": partner_of(foreign).uid,
        "link": foreign.hit.link_id,
        "confirmation": foreign.pk,
        "visitor": foreign.visitor_id,
    }
    async with Browser(client, view=view, subject=str(subjects[view]), cursor="old.1") as browser:
        assert await browser.closed() == 4503
    said = str(browser.controls)
    assert "F-1" not in said
    assert partner_of(foreign).name not in said
