from __future__ import annotations

import asyncio
import logging
import threading
from datetime import date

import pytest
from channels.db import database_sync_to_async
from django.db import connection
from django.utils import timezone

from livereferrals.dashboard import live
from livereferrals.dashboard.access import Rights
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.ranges import Dates, Range
from livereferrals.dashboard.viewpoints import Viewpoint, language_of, zone_of
from livereferrals.events import log
from livereferrals.events.cursors import Cursor
from livereferrals.streaming.hub import get_hub
from tests.dashboard import makers
from tests.dashboard.sockets import idle_threads
from tests.waiting import DEADLINE_S, eventually

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
YEAR = Dates(first=date(2026, 1, 1), last=date(2026, 12, 31))
"""Means the same at midnight, too."""
HERE = Viewpoint(filters=Filters(range=YEAR), rights=Rights(amounts=True), language="en-gb", zone="Europe/Berlin")
THERE = Viewpoint(
    filters=Filters(range=Range.WEEK), rights=Rights(amounts=True), language="en-gb", zone="Europe/Berlin"
)


def nothing() -> None:
    """Wake nobody."""


@pytest.fixture
async def frames():
    shared = live.SharedFrames()
    shared.join(HERE, nothing)
    yield shared
    shared.leave(HERE, nothing)
    await get_hub().aclose()
    await idle_threads()


async def test_all_who_ask_share_one_rendering(frames):
    """dashboard.md 4, sharing"""
    task = frames.render(HERE)
    assert frames.render(HERE) is task
    frame = await task
    assert frame.is_whole, "A region has failed; the log says why."
    assert frames.current(HERE) is frame


async def test_other_viewpoints_have_frames_of_their_own(frames):
    """dashboard-40"""
    frames.join(THERE, nothing)
    here, there = await frames.render(HERE), await frames.render(THERE)
    frames.leave(THERE, nothing)
    assert makers.filter_of(here.regions["cursor"]) != makers.filter_of(there.regions["cursor"])


async def test_frame_is_current_until_something_is_newer(frames):
    """dashboard.md 4"""
    assert frames.current(HERE) is None
    frame = await frames.render(HERE)
    frames.heard_of(Cursor(frame.cursor.epoch, frame.cursor.seq + 1))
    assert frames.current(HERE) is None


async def test_hub_that_is_behind_does_not_make_a_newer_frame_old(frames):
    """dashboard-56"""
    before = (await in_db(log.bounds)()).newest_cursor
    await in_db(makers.hit)()
    frame = await frames.render(HERE)
    frames.heard_of(before)
    assert frames.current(HERE) is frame


async def test_frame_that_was_overtaken_while_rendering_hides_no_news(frames):
    """dashboard-3: its cursor is older than what was heard of meanwhile"""
    frame = await frames.render(HERE)
    newer = Cursor(frame.cursor.epoch, frame.cursor.seq + 2)
    frames.heard_of(newer)
    frames.heard_of(Cursor(frame.cursor.epoch, frame.cursor.seq + 1))
    assert frames.head == newer


async def test_frames_keep_their_distance(frames):
    """dashboard.md 4: at most 4 a second"""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(4):
        await frames.render(HERE)
    assert loop.time() - began >= 3 * 0.25 - 0.01  # what clocks are rounded to


async def test_last_watcher_ends_rendering_and_following():
    """dashboard.md 4: no watchers, nothing is rendered"""
    shared = live.SharedFrames()
    assert shared.watching == 0
    shared.join(HERE, nothing)
    assert shared.watching == 1
    assert get_hub().running
    task = shared.render(HERE)
    shared.leave(HERE, nothing)
    assert shared.watching == 0
    assert not get_hub().running
    await asyncio.wait({task}, timeout=DEADLINE_S)
    assert task.cancelled()
    await get_hub().aclose()
    await idle_threads()


async def test_watchers_are_woken_when_the_log_moves(frames):
    """dashboard-3"""
    woken = asyncio.Event()
    frames.join(HERE, woken.set)
    await eventually(lambda: frames.head is not None)
    woken.clear()
    event = await in_db(makers.hit)()
    await eventually(lambda: frames.head.seq == event.seq)
    assert woken.is_set()
    frames.leave(HERE, woken.set)


async def test_database_that_comes_back_brings_the_frame(frames, caplog):
    """dashboard-53"""
    await frames.render(HERE)
    with caplog.at_level(logging.WARNING, "livereferrals.dashboard.live"):
        table = "livereferrals_eventlog"
        await in_db(rename)(table, f"{table}_away")
        try:
            task = frames.render(HERE)
            await eventually(lambda: "the database is away" in caplog.text)
            assert not task.done()
        finally:
            await in_db(rename)(f"{table}_away", table)
        assert (await task).cursor.seq == 0


def rename(before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


async def test_rendering_that_fails_is_logged_and_raised(frames, settings, caplog):
    """dashboard.md 4: one boundary, nothing swallowed"""
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
    task = frames.render(HERE)
    await asyncio.wait({task}, timeout=DEADLINE_S)
    assert task.exception() is not None
    assert "could not be rendered" in caplog.text
    settings.TEMPLATES = []


async def test_rendering_leaves_the_loop_alone(frames):
    """style.md 2.5: never block the loop"""
    threads: list[int] = []
    await live.in_pool(lambda: threads.append(threading.get_ident()))
    assert threads != [threading.get_ident()]


async def test_frame_knows_nothing_of_a_viewer(frames):
    """dashboard.md 4: nobody's token, name or session is in a shared frame"""
    frame = await frames.render(HERE)
    markup = frame.markup(already={})
    assert "csrf" not in markup
    assert "lr-bar__user" not in markup


async def test_only_what_changed_is_sent(frames):
    """dashboard.md 4: the regions that changed"""
    frame = await frames.render(HERE)
    assert frame.markup(already=frame.regions) == frame.regions["cursor"]
    already = {name: text for name, text in frame.regions.items() if name != "events"}
    assert frame.markup(already=already) == frame.regions["events"] + frame.regions["cursor"]


def test_frame_of_another_period_is_not_current():
    """dashboard-47"""
    now = timezone.now()
    assert HERE.span(now=now).name != THERE.span(now=now).name


@pytest.mark.parametrize(
    ("asked", "found"), [("de", "de"), ("de-at", "de"), ("xx", "en-gb"), ("", "en-gb"), ("<", "en-gb")]
)
def test_language_is_one_that_the_project_has(asked, found):
    """dashboard-40"""
    assert language_of(asked) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        ("Moon/Base", "Europe/Berlin"),
        ("", "Europe/Berlin"),
        ("../../etc/passwd", "Europe/Berlin"),
        ("Europe", "Europe/Berlin"),
        ("a\0b", "Europe/Berlin"),
    ],
)
def test_zone_is_one_that_exists(asked, found):
    """dashboard.md 8: the viewer's zone, else the project's"""
    assert zone_of(asked) == found
