from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db import connection, transaction

from livereferrals.dashboard import live, overview
from livereferrals.dashboard.consumers import LiveApplication
from livereferrals.events import log
from tests.dashboard import makers
from tests.dashboard.sockets import WAIT_S, Browser, idle_threads, open_page, sign_in
from tests.factories import make_entry, make_link, make_staff, make_user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@pytest.fixture
def staff():
    return make_staff()


@pytest.fixture
def link():
    return make_link()


async def test_hello_tells_head_time_and_pace(staff, link):
    """dashboard.md 4, `hello`"""
    event = await in_db(makers.hit)(link)
    async with Browser(await sign_in(staff)) as browser:
        hello = await browser.control("hello")
    assert hello["cursor"] == str((await in_db(log.bounds)()).newest_cursor)
    assert hello["cursor"].endswith(f".{event.seq}")
    assert hello["interval"] == 0.25
    assert hello["time"].endswith("Z")


async def test_page_that_shows_the_newest_state_gets_no_frame(staff, link):
    """dashboard-24"""
    await in_db(makers.hit)(link)
    client = await sign_in(staff)
    page = await open_page(client)
    async with Browser(client, cursor=makers.cursor_of(page), period=makers.period_of(page)) as browser:
        await browser.control("hello")
        assert await browser.is_quiet()
        await in_db(makers.hit)(link)
        assert makers.metrics(await browser.frame())["hits"] == "2"


@pytest.mark.parametrize("cursor", ["zzzz.4", "nonsense", "", None])
async def test_page_at_any_other_cursor_gets_one_frame_of_now(staff, link, cursor):
    """dashboard-24: other epoch, garbage, none"""
    await in_db(makers.hit)(link)
    query = {} if cursor is None else {"cursor": cursor}
    async with Browser(await sign_in(staff), **query) as browser:
        frame = await browser.frame()
        assert makers.metrics(frame)["hits"] == "1"
        assert await browser.is_quiet()


async def test_page_of_yesterday_gets_a_frame_although_nothing_happened(staff, link):
    """dashboard-47"""
    await in_db(makers.hit)(link)
    client = await sign_in(staff)
    page = await open_page(client)
    async with Browser(client, cursor=makers.cursor_of(page), period="1") as browser:
        assert makers.metrics(await browser.frame())["hits"] == "1"


async def test_page_turns_over_when_its_range_comes_to_mean_another_time(staff, link, settings):
    """dashboard-47: no event is needed; here the days of another zone stand for midnight"""
    async with Browser(await sign_in(staff)) as browser:
        before = await browser.frame()
        settings.TIME_ZONE = "Asia/Kathmandu"
        await browser.say("ping")
        after = await browser.frame()
    assert makers.cursor_of(after) == makers.cursor_of(before)
    assert makers.period_of(after) != makers.period_of(before)


async def test_each_kind_of_event_shows_in_a_frame(staff, link):
    """dashboard-3, dashboard-4"""
    async with Browser(await sign_in(staff)) as browser:
        await browser.frame()
        await in_db(makers.hit)(link)
        frame = await browser.frame_with(hits="1", visitors="1", claims="0", confirmations="0")
        assert 'data-type="hit"' in frame

        await in_db(makers.claim)(link)
        frame = await browser.frame_with(claims="1")
        assert 'data-type="claim"' in frame

        confirmation = await in_db(makers.confirmed)(link, amount="12.50", currency="EUR")
        frame = await browser.frame_with(confirmations="1", **{"amount-EUR": "12.50"})
        assert 'data-type="confirmation"' in frame

        await in_db(makers.delivered)(link)
        while 'data-type="delivery"' not in frame:
            frame = await browser.frame()

        await in_db(makers.reversed_)(confirmation)
        frame = await browser.frame_with(confirmations="0", **{"amount-EUR": "0.00"})
        assert 'data-type="reversal"' in frame


async def test_frame_carries_its_cursor_last_and_marks_each_region(staff, link):
    """dashboard-2, dashboard-22"""
    event = await in_db(makers.hit)(link)
    async with Browser(await sign_in(staff), type="hit") as browser:
        frame = await browser.frame()
    assert frame.count('hx-swap-oob="morph"') == len(overview.PAGE.regions)
    assert frame.rindex('id="cursor"') > frame.rindex('id="events"') > frame.rindex('id="counters"')
    assert makers.cursor_of(frame).endswith(f".{event.seq}")
    assert makers.filter_of(frame) == makers.filter_of(await open_page(await sign_in(staff), "type=hit"))
    assert makers.filter_of(frame) != makers.filter_of(await open_page(await sign_in(staff)))


async def test_second_frame_waits_for_the_acknowledgement(staff, link):
    """dashboard.md 4, credit of one"""
    async with Browser(await sign_in(staff)) as browser:
        first = await browser.frame(ack=False)
        await in_db(makers.hit)(link)
        await in_db(makers.hit)(link)
        assert await browser.is_quiet(0.6)
        await browser.say("ack", cursor=makers.cursor_of(first))
        assert makers.metrics(await browser.frame())["hits"] == "2"


async def test_acknowledgement_of_another_cursor_gives_no_credit(staff, link):
    """dashboard.md 4, credit of one"""
    async with Browser(await sign_in(staff)) as browser:
        await browser.frame(ack=False)
        await browser.say("ack", cursor="zzzz.1")
        await in_db(makers.hit)(link)
        assert await browser.is_quiet(0.6)


async def test_frame_that_is_never_acknowledged_holds_the_next_for_a_while_only(staff, link):
    """dashboard.md 4, "or 5 s" """
    async with Browser(await sign_in(staff), timing={"ack_s": 0.3}) as browser:
        await browser.frame(ack=False)
        await in_db(makers.hit)(link)
        assert makers.metrics(await browser.frame(ack=False))["hits"] == "1"


async def test_pause_counts_what_waits_and_resume_shows_it_at_once(staff, link):
    """dashboard-19"""
    async with Browser(await sign_in(staff), timing={"waiting_s": 0.01}) as browser:
        await browser.frame()
        await browser.say("pause")
        for _ in range(3):
            await in_db(makers.hit)(link)
        while (await browser.control("waiting"))["n"] < 3:
            pass
        assert await browser.is_quiet()
        await browser.say("resume")
        assert makers.metrics(await browser.frame())["hits"] == "3"


async def test_hidden_page_gets_nothing_until_it_is_seen_again(staff, link):
    """dashboard-26"""
    async with Browser(await sign_in(staff)) as browser:
        await browser.frame()
        await browser.say("visible", visible=False)
        await in_db(makers.hit)(link)
        assert await browser.is_quiet(0.6)
        await browser.say("visible", visible=True)
        assert makers.metrics(await browser.frame())["hits"] == "1"


async def test_changed_filters_bring_frames_of_the_new_ones_alone(staff, link):
    """dashboard-22"""
    await in_db(makers.hit)(link)
    await in_db(makers.claim)(link)
    async with Browser(await sign_in(staff)) as browser:
        before = await browser.frame(ack=False)
        await browser.say("filters", query="?type=claim")
        after = await browser.frame()
        assert makers.filter_of(after) != makers.filter_of(before)
        assert 'data-type="claim"' in after
        assert 'data-type="hit"' not in after
        await in_db(makers.hit)(link)
        assert makers.filter_of(await browser.frame_with(hits="2")) == makers.filter_of(after)


async def test_unknown_filters_are_left_out(staff, link):
    """dashboard-25"""
    await in_db(makers.hit)(link)
    async with Browser(await sign_in(staff), range="century", type="nothing") as browser:
        assert makers.metrics(await browser.frame())["hits"] == "1"
        await browser.say("filters", query="range=%00&type=<script>")
        assert makers.metrics(await browser.frame())["hits"] == "1"


async def test_two_browsers_end_with_the_same_page(staff, link):
    """dashboard-8"""
    async with Browser(await sign_in(staff)) as one, Browser(await sign_in(staff)) as other:
        for _ in range(5):
            await in_db(makers.hit)(link)
        for browser in (one, other):
            await browser.frame_with(hits="5")
    assert one.regions.keys() == set(overview.PAGE.regions)
    assert one.regions == other.regions


async def test_frame_equals_the_page_but_for_the_swap(staff, link):
    """style.md 2.11: same markup both ways"""
    await in_db(makers.hit)(link)
    await in_db(makers.confirmed)(link, amount="1", currency="JPY")
    client = await sign_in(staff)
    async with Browser(client) as browser:
        frame = await browser.frame()
    page = await open_page(client)
    rows = makers.rows_of(frame)
    assert len(rows) == 2
    assert rows == makers.rows_of(page)
    assert makers.region(frame, "counters").replace(' hx-swap-oob="morph"', "") == makers.region(page, "counters")


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://testserver:81", "null", "ftp://testserver"])
async def test_foreign_or_missing_origin_is_refused(staff, origin):
    """dashboard-17"""
    browser = Browser(await sign_in(staff), origin=origin)
    connected, _ = await browser.end.connect()
    assert not connected


async def test_nobody_signed_in_is_told_so():
    """dashboard-14"""
    async with Browser(None) as browser:
        assert await browser.closed() == 4501
    assert browser.controls[-1]["code"] == "unauthorized"


async def test_who_may_not_see_it_is_told_so():
    """dashboard-15"""
    user = await in_db(make_user)(is_staff=True)
    async with Browser(await sign_in(user)) as browser:
        assert await browser.closed() == 4503
    assert browser.controls[-1]["code"] == "forbidden"


async def test_logout_elsewhere_closes_the_socket(staff):
    """dashboard-16"""
    client = await sign_in(staff)
    async with Browser(client, timing={"standing_s": 0.1}) as browser:
        await browser.frame()
        await in_db(client.logout)()
        assert await browser.closed() == 4501


async def test_changed_password_closes_the_socket(staff):
    """dashboard-16"""
    client = await sign_in(staff)
    async with Browser(client, timing={"standing_s": 0.1}) as browser:
        await browser.frame()
        staff.set_password("another")
        await in_db(staff.save)()
        assert await browser.closed() == 4501


async def test_lost_permission_closes_the_socket():
    """dashboard-15"""
    user = await in_db(makers.make_viewer)()
    async with Browser(await sign_in(user), timing={"standing_s": 0.1}) as browser:
        await browser.frame()
        await in_db(user.user_permissions.clear)()
        assert await browser.closed() == 4503


async def test_without_view_amounts_no_amount_is_in_any_byte(link):
    """dashboard-39"""
    user = await in_db(makers.make_viewer)()
    await in_db(makers.confirmed)(link, amount="98.76", currency="EUR")
    async with Browser(await sign_in(user)) as browser:
        frame = await browser.frame()
        await in_db(makers.confirmed)(link, amount="98.76", currency="EUR")
        frame += await browser.frame_with(confirmations="2")
    assert "98.76" not in frame
    assert "EUR" not in frame
    assert "amount" not in frame


async def test_amounts_go_with_the_permission(link):
    """dashboard-39, dashboard-40"""
    user = await in_db(makers.make_viewer)("view_dashboard", "view_amounts")
    await in_db(makers.confirmed)(link, amount="98.76", currency="EUR")
    async with Browser(await sign_in(user), timing={"standing_s": 0.1}) as browser:
        assert makers.metrics(await browser.frame())["amount-EUR"] == "98.76"
        await in_db(user.user_permissions.remove)(await Permission.objects.aget(codename="view_amounts"))
        assert (await browser.control("reload"))["reason"] == "permissions"
        await in_db(makers.hit)(link)
        assert "98.76" not in await browser.frame_with(hits="1")


async def test_viewers_of_two_languages_and_zones_get_different_frames(staff, link):
    """dashboard-40"""
    await in_db(makers.confirmed)(link, amount="1234.5", currency="EUR")
    client = await sign_in(staff)
    async with Browser(client, language="en-gb", zone="Asia/Tokyo") as one, Browser(client, language="de") as other:
        english, german = await one.frame(), await other.frame()
    assert "1,234.50" in english
    assert "1.234,50" in german
    assert makers.metrics(english) == makers.metrics(german)
    assert makers.rows_of(english) != makers.rows_of(german)


@pytest.mark.parametrize("text", [" ", "no json", "[]", "{}", '{"type": 1}', '"x' * 4000, "[" * 4000], ids=repr)
async def test_garbage_ends_the_connection_with_a_reason(staff, text):
    """dashboard.md 4: the feed's class rule"""
    async with Browser(await sign_in(staff)) as browser:
        await browser.end.send_to(text_data=text)
        assert await browser.closed() == 4500
    assert browser.controls[-1]["code"] == "protocol_error"


async def test_binary_message_ends_the_connection(staff):
    """dashboard.md 4: the feed's class rule"""
    async with Browser(await sign_in(staff)) as browser:
        await browser.end.send_to(bytes_data=b"{}")
        assert await browser.closed() == 4500


async def test_unknown_message_is_ignored_and_ping_is_answered(staff):
    """dashboard.md 4, `ping`"""
    async with Browser(await sign_in(staff)) as browser:
        await browser.frame()
        await browser.say("dance")
        await browser.say("visible", visible="perhaps")
        await browser.say("ping")
        assert (await browser.control("heartbeat"))["time"].endswith("Z")


async def test_unknown_view_is_refused(staff):
    """dashboard.md 4: the feed's class rule"""
    async with Browser(await sign_in(staff), view="moon") as browser:
        assert await browser.closed() == 4514


async def test_heartbeat_comes_when_nothing_happens(staff, link):
    """dashboard.md 4, `heartbeat`"""
    event = await in_db(makers.hit)(link)
    async with Browser(await sign_in(staff), timing={"heartbeat_s": 0.1}) as browser:
        assert (await browser.control("heartbeat"))["cursor"].endswith(f".{event.seq}")


async def test_rolled_back_event_never_shows(staff, link):
    """dashboard-5"""

    def roll_back() -> None:
        with transaction.atomic():
            log.append(make_entry(partner=link.partner))
            transaction.set_rollback(True)

    async with Browser(await sign_in(staff)) as browser:
        await browser.frame()
        await in_db(roll_back)()
        await in_db(makers.hit)(link)
        assert makers.metrics(await browser.frame())["hits"] == "1"
        assert await browser.is_quiet()


@contextlib.asynccontextmanager
async def busy_threads() -> AsyncIterator[None]:
    """Keep the dashboard's threads busy, so that nothing can be rendered."""
    release = threading.Event()
    blockers = [asyncio.create_task(live.in_pool(release.wait, WAIT_S)) for _ in range(live.THREADS)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        release.set()
        await asyncio.gather(*blockers)


async def test_late_frame_is_said_to_be_late(staff, link):
    """dashboard.md 4, `lag`"""
    async with Browser(await sign_in(staff), timing={"lag_s": 0.1}) as browser:
        await browser.frame()
        async with busy_threads():
            await in_db(makers.hit)(link)
            while (await browser.control("lag"))["seconds"] < 0.2:
                pass
        while (await browser.control("lag"))["seconds"] > 0:
            pass
        assert makers.metrics(await browser.frame())["hits"] == "1"


async def test_pause_holds_a_frame_back_that_is_being_rendered(staff, link):
    """dashboard-19"""
    async with Browser(await sign_in(staff), timing={"lag_s": 0.1}) as browser:
        await browser.frame()
        async with busy_threads():
            await in_db(makers.hit)(link)
            await browser.control("lag")
            await browser.say("pause")
            await browser.say("ping")
            await browser.control("heartbeat")
        assert (await browser.control("waiting"))["n"] == 1
        assert await browser.is_quiet()
        await browser.say("resume")
        assert makers.metrics(await browser.frame())["hits"] == "1"


async def test_filter_drops_a_frame_that_is_being_rendered(staff, link):
    """dashboard-22"""
    async with Browser(await sign_in(staff), timing={"lag_s": 0.1}) as browser:
        before = await browser.frame()
        async with busy_threads():
            await in_db(makers.hit)(link)
            await browser.control("lag")
            await browser.say("filters", query="range=7d")
            await browser.say("ping")
            await browser.control("heartbeat")
        assert makers.filter_of(await browser.frame()) != makers.filter_of(before)


async def test_database_that_is_away_is_a_reason_to_come_back(staff):
    """dashboard.md 4: the feed's class rule, 4009"""
    client = await sign_in(staff)
    table = Session._meta.db_table
    await in_db(rename)(table, f"{table}_away")
    try:
        async with Browser(client) as browser:
            assert await browser.closed() == 4009
    finally:
        await in_db(rename)(f"{table}_away", table)
    assert browser.controls[-1]["code"] == "unavailable"


def rename(before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


async def test_browser_that_cannot_be_reached_any_more_is_let_go(staff):
    """dashboard.md 12.13: uvicorn raises where a send comes after the end"""
    client = await sign_in(staff)
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    scope = {"headers": headers, "query_string": b"", "session": client.session}

    async def receive() -> dict[str, str]:
        await asyncio.sleep(0)
        return {"type": "websocket.connect"}

    async def send(message: dict[str, str]) -> None:
        if message["type"] == "websocket.send":
            raise ConnectionResetError

    before = live.get_frames().watching
    await asyncio.wait_for(LiveApplication()(scope, receive, send), WAIT_S)
    assert live.get_frames().watching == before
    await idle_threads()


async def test_days_gone_by_are_live_and_cost_nothing_meanwhile(staff, link):
    """dashboard-24: a picked range has no end to wait for"""
    async with Browser(await sign_in(staff), range="2020-01-01..2020-01-02") as browser:
        before = await browser.frame()
        event = await in_db(makers.hit)(link)
        after = await browser.frame()
        assert makers.cursor_of(before) != makers.cursor_of(after)
        assert makers.cursor_of(after).endswith(f".{event.seq}")
        spent = time.process_time()
        assert await browser.is_quiet(1.0)
        assert time.process_time() - spent < 0.5
