"""The long poll, against real servers."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from livereferrals.events import log
from livereferrals.events.models import Event, EventLog
from tests.factories import make_entry, make_partner
from tests.streaming.clients import OUR_CODE, seq
from tests.streaming.test_live import in_threads
from tests.streaming.twins import ask, bearer, poll_all

if TYPE_CHECKING:
    from tests.servers import HostServer
    from tests.streaming.conftest import Reader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


async def test_poll_answers_at_once_where_there_is_something(server: HostServer, reader: Reader) -> None:
    """feed-53, feed-22: exactly the rest, page by page"""
    await database_sync_to_async(reader.append)(10)
    first = (await ask(server, "poll", reader.token, cursor="oldest", wait=20, limit=4)).json
    assert [first[name] for name in ("type", "more", "prev")] == ["events", True, first["oldest"]]
    assert [seq(event["cursor"]) for event in first["events"]] == [1, 2, 3, 4]
    second = (await ask(server, "poll", reader.token, cursor=first["cursor"], wait=20)).json
    assert [seq(event["cursor"]) for event in second["events"]] == [5, 6, 7, 8, 9, 10]
    assert (second["prev"], second["more"], second["newest"]) == (first["cursor"], False, second["cursor"])


async def test_poll_without_a_cursor_tells_the_newest_at_once(server: HostServer, reader: Reader) -> None:
    """section 12"""
    await database_sync_to_async(reader.append)(3)
    page = (await ask(server, "poll", reader.token)).json
    assert (page["events"], page["more"], seq(page["cursor"]), seq(page["oldest"])) == ([], False, 3, 0)


async def test_wait_is_kept_and_an_unmoved_etag_is_a_304(server: HostServer, reader: Reader) -> None:
    """feed-53: it waits as long as it was told, not as long as it may"""
    etag = (await ask(server, "poll", reader.token)).headers["ETag"]
    started = time.monotonic()
    answer = await ask(server, "poll", reader.token, headers={"If-None-Match": etag}, wait=1)
    assert 1 <= time.monotonic() - started < 15
    assert (answer.status, answer.text, answer.headers["ETag"]) == (304, "", etag)
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Authorization")
    weak = await ask(server, "poll", reader.token, headers={"If-None-Match": f"W/{etag}"}, cursor=etag[1:-1], wait=0)
    assert weak.status == 304
    other = await ask(server, "poll", reader.token, headers={"If-None-Match": etag}, cursor="oldest")
    assert other.told == (400, "bad_request")


async def test_waiting_poll_gets_a_live_event(server: HostServer, reader: Reader) -> None:
    """feed-18, feed-16: once, and nobody else's; what is not for it does not end its wait"""
    other = await database_sync_to_async(make_partner)()
    start = (await ask(server, "poll", reader.token)).json["cursor"]
    waiting = asyncio.ensure_future(ask(server, "poll", reader.token, cursor=start, wait=30))
    await database_sync_to_async(log.append_all)([make_entry(partner=other.uid), make_entry()])
    await database_sync_to_async(reader.append)(2)
    page = (await waiting).json
    assert page["prev"] == start
    assert [event["partner"] for event in page["events"]] == [reader.partner.uid] * 2
    following = await ask(server, "poll", reader.token, cursor=page["cursor"], wait=0)
    assert following.json["events"] == []


async def test_cursor_moves_over_what_is_not_for_the_reader(server: HostServer, reader: Reader) -> None:
    """feed-35: with a filter that lets nothing through, at once and after a wait"""
    await database_sync_to_async(reader.append)(150)
    for wait in (0, 1):
        page = (await ask(server, "poll", reader.token, cursor="oldest", types="claim", wait=wait, limit=1)).json
        assert (page["events"], seq(page["cursor"]), page["more"]) == ([], 150, False)


async def test_concurrent_transactions_are_polled_whole_and_in_order(server: HostServer, reader: Reader) -> None:
    """feed-19"""
    writing = asyncio.ensure_future(
        asyncio.to_thread(in_threads, lambda number: reader.append(5, data={"click_id": str(number)}), times=40)
    )
    events = await poll_all(server, reader.token, cursor="oldest", count=200, wait=5)
    await writing
    assert [seq(event["cursor"]) for event in events] == list(range(1, 201))


async def test_impossible_cursors_are_told(server: HostServer, reader: Reader) -> None:
    """feed-27, feed-28, feed-30, feed-31: with where the log begins; a gap that was agreed to is named in the answer"""
    await database_sync_to_async(reader.append)(10)

    def prune() -> str:
        Event.objects.filter(seq__lte=4).delete()
        EventLog.objects.update(oldest=4)
        return EventLog.objects.get().epoch

    epoch = await database_sync_to_async(prune)()
    future = await ask(server, "poll", reader.token, cursor=f"{epoch}.11")
    assert (*future.told, future.json["newest"]) == (409, "cursor_in_future", f"{epoch}.10")
    for old in [await ask(server, name, reader.token, cursor=f"{epoch}.3") for name in ("poll", "sse")]:
        assert (*old.told, old.json["oldest"]) == (410, "cursor_too_old", f"{epoch}.4")
    other = await ask(server, "poll", reader.token, cursor="zzzz.5")
    assert other.told == (410, "other_epoch")
    assert len((await ask(server, "poll", reader.token, cursor=f"{epoch}.4")).json["events"]) == 6
    page = (await ask(server, "poll", reader.token, cursor=f"{epoch}.3", on_gap="oldest")).json
    assert page["gap"] == {"reason": "cursor_too_old", "from": f"{epoch}.3", "to": f"{epoch}.4"}
    assert len(page["events"]) == 6


async def test_since_begins_with_the_first_event_at_or_after_it(server: HostServer, reader: Reader) -> None:
    """feed-37"""
    await database_sync_to_async(reader.append)(2)
    since = (timezone.now() - timedelta(hours=1)).isoformat()
    assert len((await ask(server, "poll", reader.token, since=since)).json["events"]) == 2


async def test_missing_token_is_a_401(server: HostServer, reader: Reader) -> None:
    """feed-5"""
    answer = await ask(server, "poll")
    assert answer.told == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


GARBAGE = ["", ".", "a.", ".1", "k3f9.-1", "k3f9.01", "k3f9.1e3", "9" * 5000, "\x00", "k3f9.\uff11", f"k3f9.{2**63}"]
BAD: dict[str, tuple[str, dict[str, str]]] = {
    **{f"cursor {number}": ("bad_cursor", {"cursor": text}) for number, text in enumerate(GARBAGE)},
    "long wait": ("bad_request", {"wait": "31"}),
    "part of a second": ("bad_request", {"wait": "0.5"}),
    "no limit": ("bad_request", {"limit": "0"}),
    "large limit": ("bad_request", {"limit": "1001"}),
    "unknown type": ("bad_request", {"types": "hits"}),
    "long URL": ("bad_request", {"other": "x" * 5000}),
}


async def test_bad_parameters_are_a_400(server: HostServer, reader: Reader) -> None:
    """feed-32, feed-36: on both, with an `error` object, and no stack trace"""
    for code, query in BAD.values():
        for name in ("poll", "sse"):
            assert (await ask(server, name, reader.token, **query)).told == (400, code), query
    assert OUR_CODE not in server.output()


async def test_poll_that_is_given_up_leaves_no_traceback(server: HostServer, reader: Reader) -> None:
    """feed-53: its place is free at once (the limits' tests count)"""
    start = (await ask(server, "poll", reader.token)).json["cursor"]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TimeoutError):
            await session.get(
                server.url("/referrals/feed/v1/poll"),
                params={"cursor": start},
                headers=bearer(reader.token),
                timeout=aiohttp.ClientTimeout(total=0.5),
            )
    assert (await ask(server, "poll", reader.token)).status == 200
    assert OUR_CODE not in server.output()
