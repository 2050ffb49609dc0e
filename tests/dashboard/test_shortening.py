from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.db import connection
from django.test.utils import CaptureQueriesContext

from livereferrals.dashboard import catalogue, live, pages, rollups, statistics
from livereferrals.dashboard.access import Rights
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.shortening import Shortening
from livereferrals.dashboard.viewpoints import Viewpoint
from livereferrals.events import log
from livereferrals.streaming.hub import get_hub
from tests.dashboard import makers
from tests.dashboard.sockets import idle_threads
from tests.factories import make_link
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
HERE = Viewpoint(filters=Filters(), rights=Rights(amounts=True), language="en-gb", zone="Europe/Berlin")


def make_tail() -> None:
    """Leave more events after the rollups than stay there while somebody watches."""
    link = make_link()
    log.append_all([makers.hit_entry(link) for _ in range(statistics.SHORT_TAIL + 1)])
    makers.hit(link)


def tail() -> int:
    return log.bounds().head - rollups.position().seq


@pytest.fixture
async def shortening() -> AsyncIterator[Shortening]:
    found = Shortening(live.in_pool)
    yield found
    found.stop()
    await idle_threads()


async def test_totals_follow_the_log_while_somebody_watches() -> None:
    """performance P18: the tail that each frame adds up stays short, without a worker too"""
    frames = live.SharedFrames()
    frames.join(HERE, lambda: None)
    try:
        await in_db(make_tail)()
        await eventually(in_db(lambda: tail() <= statistics.SHORT_TAIL))
    finally:
        frames.leave(HERE, lambda: None)
        await get_hub().aclose()
        await idle_threads()


def test_frame_waits_for_no_totals() -> None:
    """performance P18: a rendering writes nothing, however much has just happened"""
    make_tail()
    with CaptureQueriesContext(connection) as seen:
        frame = pages.render_frame(catalogue.BY_NAME["overview"], HERE)
    first_words = {each["sql"].split(maxsplit=1)[0] for each in seen.captured_queries}
    assert first_words <= {"SELECT", "BEGIN", "ROLLBACK", "COMMIT", "SET"}
    assert makers.metrics(frame.regions["counters"])["hits"] == str(log.bounds().head)


async def test_database_that_is_away_is_told_once(shortening: Shortening, caplog: pytest.LogCaptureFixture) -> None:
    """dashboard-53: and the totals follow again when it is back"""
    await in_db(make_tail)()
    await in_db(rename)("livereferrals_rollupstate", "rollupstate_away")
    try:
        with caplog.at_level(logging.WARNING, "livereferrals.dashboard.shortening"):
            shortening.wake()
            await eventually(lambda: "cannot be brought forward" in caplog.text)
    finally:
        await in_db(rename)("rollupstate_away", "livereferrals_rollupstate")

    async def is_short() -> bool:
        shortening.wake()
        return await in_db(tail)() <= statistics.SHORT_TAIL

    await eventually(is_short)
    assert caplog.text.count("cannot be brought forward") == 1


def rename(before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")
