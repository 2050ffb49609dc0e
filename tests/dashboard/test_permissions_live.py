"""Every live view of the dashboard, over the socket, as every kind of user."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from livereferrals.dashboard import catalogue
from tests.dashboard import house
from tests.dashboard.house import GUESTS
from tests.dashboard.sockets import WAIT_S, Browser, idle_threads
from tests.dashboard.test_permissions import RULES, leaks

if TYPE_CHECKING:
    from livereferrals.dashboard.pages import Page
    from tests.dashboard.house import Guest, House, Side

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@dataclass
class Heard:
    """What one socket said before its first frame, with it, or to its end."""

    text: str = ""
    close: int = 0


async def listen(client: Client | None, page: Page, side: Side) -> Heard:
    """Open a page's live view, and hear it until it has sent a frame or closed."""
    (rule, *_) = RULES[page.name]
    subject = {"subject": str(side.subject(rule.about))} if rule.about else {}
    browser = Browser(client, view=page.name, **subject)  # type: ignore[arg-type] # the query alone
    await browser.end.connect(timeout=WAIT_S)
    heard = Heard()
    async with asyncio.timeout(WAIT_S):
        while not heard.close:
            message: dict[str, Any] = await browser.end.receive_output(timeout=WAIT_S)
            heard.text += message.get("text", "")
            heard.close = message.get("code", 0)
            if not message.get("text", "{").startswith("{"):
                break
    await browser.end.disconnect(timeout=WAIT_S)
    return heard


def wanted(page: Page, guest: Guest, *, signed_in: bool, foreign: bool) -> int:
    """Return the code of the close; 0 where frames come."""
    (rule, *_) = RULES[page.name]
    if not signed_in:
        return 4501
    if not rule.allows(guest) or (foreign and guest.is_partner):
        return 4503
    return 0


def enter(world: House, name: str) -> Client | None:
    user = GUESTS[name].user(world, name)
    if not user.is_authenticated:
        return None
    client = Client()
    client.force_login(user)
    return client


async def test_every_live_view_tells_each_kind_of_user_its_share(settings: Any) -> None:
    """dashboard-38, dashboard-39, dashboard-40, dashboard-15: frames and what is said beside them."""
    world = await database_sync_to_async(house.build)(settings)
    wrong: list[tuple[object, ...]] = []
    for name, guest in GUESTS.items():
        client = await database_sync_to_async(enter)(world, name)
        for side in (world.own, world.foreign):
            pages = [page for page in catalogue.PAGES if side is world.own or RULES[page.name][0].about]
            # All at once, as tabs of one session are; those of one side are fewer than a session may have.
            found = await asyncio.gather(*(listen(client, page, side) for page in pages))
            for page, heard in zip(pages, found, strict=True):
                code = wanted(page, guest, signed_in=client is not None, foreign=side is world.foreign)
                if heard.close != code:
                    wrong.append((name, page.name, heard.close, code, heard.text))
                wrong += [(name, page.name, word) for word in leaks(heard.text, guest.may_not_read(world))]
    await idle_threads()
    assert wrong == []
