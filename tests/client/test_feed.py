"""What a program that uses the client can rely on: what is stored when, states, ends, and a handler that takes long."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from livereferrals.client import (
    CallableCursorStore,
    Event,
    FeedClient,
    FeedStopped,
    Gap,
    HitEvent,
    MemoryCursorStore,
    Timing,
)
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.protocol.scripted import ScriptedServer

pytestmark = pytest.mark.once

CLEAN_END_S = 1.0


def client(url: str, store: Any = None, **options: Any) -> FeedClient:
    timing = Timing(**({"base_s": 0.01} | options.pop("timing", {})))
    return FeedClient(url, "lrf_a_b", store=store or MemoryCursorStore("k3f9.10"), timing=timing, **options)


async def test_asking_for_the_next_event_stores_the_one_before(scripted: ScriptedServer) -> None:
    """feed-59: store, then acknowledge"""
    store = MemoryCursorStore("k3f9.10")
    stored = []
    async with client(scripted.url("three events"), store) as feed:
        async for event in feed:
            stored.append((event.cursor, store.cursor))
            if len(stored) == 3:
                break
    assert stored == [("k3f9.11", "k3f9.10"), ("k3f9.12", "k3f9.11"), ("k3f9.13", "k3f9.12")]
    assert store.cursor == "k3f9.12"


async def test_handler_that_raises_stops_before_the_store(scripted: ScriptedServer) -> None:
    """feed-59"""
    store = MemoryCursorStore("k3f9.10")

    async def book_all() -> None:
        async with client(scripted.url("three events"), store) as feed:
            async for event in feed:
                if event.cursor == "k3f9.12":
                    raise RuntimeError("the books are closed")

    with pytest.raises(RuntimeError, match="the books are closed"):
        await book_all()
    assert store.cursor == "k3f9.11"


async def test_event_at_which_a_loop_was_left_comes_again_unless_it_is_done(scripted: ScriptedServer) -> None:
    store = MemoryCursorStore("k3f9.10")
    async with client(scripted.url("three events"), store) as feed:
        async for event in feed:
            assert event.cursor == "k3f9.11"
            break
        async for event in feed:
            assert event.cursor == "k3f9.11"
            await feed.done()
            break
        assert store.cursor == "k3f9.11"
        assert (await anext(feed)).cursor == "k3f9.12"


async def test_acknowledgement_comes_after_the_store(scripted: ScriptedServer) -> None:
    """feed-59: a store that hangs holds the acknowledgement back"""
    url = scripted.url("three events")
    release = asyncio.Event()
    saved: list[str] = []

    async def save(cursor: str) -> None:
        await release.wait()
        saved.append(cursor)

    async with client(url, CallableCursorStore(lambda: "k3f9.10", save)) as feed:
        await anext(feed)
        asking = asyncio.ensure_future(anext(feed))
        await asyncio.wait([asking], timeout=0.5)
        assert not asking.done()
        assert scripted.run(url).asked[0].acks == []
        release.set()
        await asking
        await eventually(lambda: scripted.run(url).asked[0].acks == ["k3f9.11"])
    assert saved == ["k3f9.11"]


async def test_store_that_fails_ends_the_loop(scripted: ScriptedServer) -> None:
    def save(cursor: str) -> None:
        raise OSError(28, "No space left on device")

    async with client(scripted.url("three events"), CallableCursorStore(lambda: "k3f9.10", save)) as feed:
        await anext(feed)
        with pytest.raises(OSError, match="No space left"):
            await anext(feed)
    assert feed.cursor == "k3f9.10"


async def test_batches_are_stored_when_done_also_across_a_cut(scripted: ScriptedServer) -> None:
    """feed-59: one that is done stands for all before it, and no batch comes twice to a program that still has it"""
    store = MemoryCursorStore("k3f9.10")
    async with client(scripted.url("batches around a cut"), store) as feed:
        batches = feed.batches()
        first, second = await anext(batches), await anext(batches)
        assert ([len(first), len(second)], store.cursor) == ([2, 1], "k3f9.10")
        following = asyncio.ensure_future(anext(batches))
        # The heartbeat moves a batch in hand on; nothing is stored before that is done.
        await eventually(lambda: second.cursor == "k3f9.20")
        assert store.cursor == "k3f9.10"
        await second.done()
        await first.done()
        assert store.cursor == "k3f9.20"
        following.cancel()


async def test_states_and_lag_tell_how_it_goes(scripted: ScriptedServer) -> None:
    states: list[str] = []
    async with client(scripted.url("away"), on_state=states.append) as feed:
        await anext(feed)
        assert feed.lag.events == 1
        asking = asyncio.ensure_future(anext(feed))
        await eventually(lambda: feed.state == "live")
        assert (feed.lag.events, feed.lag.seconds < 1) == (0, True)
        asking.cancel()
    assert states == [*["connecting", "waiting"] * 3, "connecting", "greeting", "catching_up", "live", "idle"]


@pytest.mark.parametrize(
    ("transport", "stage"),
    [("ws", "flood"), *((transport, stage) for transport in ("ws", "sse", "poll") for stage in ("quiet", "mute"))],
)
async def test_cancelling_closes_within_a_second(scripted: ScriptedServer, transport: Any, stage: str) -> None:
    """feed-59: also while a server greets nobody, or will not stop talking"""
    url = scripted.url(stage)

    async def read() -> None:
        async with client(url, transport=transport) as feed:
            async for _ in feed:
                pass

    reading = asyncio.ensure_future(read())
    await eventually(lambda: scripted.run(url).asked)
    begun = time.monotonic()
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    assert time.monotonic() - begun < CLEAN_END_S + 15  # what a busy machine may add


async def test_client_with_a_long_handler_is_heard(scripted: ScriptedServer) -> None:
    """Heartbeats that come meanwhile are answered, so that the server does not give it up."""
    url = scripted.url("heartbeats")
    async with client(url) as feed:
        await anext(feed)
        await eventually(lambda: "ping" in scripted.run(url).asked[0].said)
        assert feed.cursor == "k3f9.10"


async def test_feed_that_has_stopped_stays_stopped(scripted: ScriptedServer) -> None:
    async with client(scripted.url("stopped")) as feed:
        with pytest.raises(FeedStopped):
            await anext(feed)
        with pytest.raises(FeedStopped) as stopped:
            await anext(feed)
        assert (stopped.value.code, stopped.value.close, feed.state) == ("forbidden", 4503, "stopped")


async def test_owner_may_decide_about_a_gap_later(scripted: ScriptedServer) -> None:
    """feed-28: an async policy is awaited, and told what is missing"""
    told: list[Gap] = []

    async def decide(gap: Gap) -> bool:
        await asyncio.sleep(0)
        told.append(gap)
        return False

    async with client(scripted.url("too old"), on_gap=decide) as feed:
        with pytest.raises(FeedStopped, match="cursor_too_old"):
            await anext(feed)
    assert told == [Gap(reason="cursor_too_old", origin="k3f9.10", to="k3f9.50")]


async def test_source_of_tickets_that_is_away_is_asked_again(scripted: ScriptedServer) -> None:
    calls = 0

    async def get_ticket() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ConnectionRefusedError(111, "Connection refused")
        return "lrt_1"

    url = scripted.url("three events")
    store = MemoryCursorStore("k3f9.10")
    async with FeedClient(url, get_ticket=get_ticket, store=store, timing=Timing(base_s=0.01)) as feed:
        await anext(feed)
    assert (calls, scripted.run(url).asked[0].ticket) == (3, "lrt_1")


async def test_known_events_have_a_class_and_unknown_ones_are_whole(scripted: ScriptedServer) -> None:
    async with client(scripted.url("three events")) as feed:
        event = await anext(feed)
    assert isinstance(event, HitEvent)
    assert isinstance(event, Event)
    assert event.data["device"] == "desktop"
    assert event.link is not None
    assert (event.link.identifier, event.moment.year, event.raw["type"]) == ("spring", 2026, "hit")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        pytest.param("https://a.example/", {"token": "t"}, id="another address"),
        pytest.param("ftp://a.example/feed/v1", {"token": "t"}, id="another scheme"),
        pytest.param("https://a.example/feed/v1?token=t", {"token": "t"}, id="a token in the address"),
        pytest.param("https://u:p@a.example/feed/v1", {"token": "t"}, id="a password in the address"),
        pytest.param("https://a.example/feed/v1", {}, id="no credential"),
        pytest.param("https://a.example/feed/v1", {"token": "t", "get_ticket": str}, id="two credentials"),
        pytest.param("https://a.example/feed/v1", {"get_ticket": str, "transport": "poll"}, id="tickets for polls"),
        pytest.param("https://a.example/feed/v1", {"token": "t", "transport": "pigeon"}, id="unknown transport"),
        pytest.param("https://a.example/feed/v1", {"token": "t", "start": "yesterday"}, id="unknown start"),
        pytest.param("https://a.example/feed/v1", {"token": "t", "start": "oldest", "since": "2026"}, id="two starts"),
        pytest.param("https://a.example/feed/v1", {"token": "t", "on_gap": "ignore"}, id="unknown policy"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        FeedClient(url, **options)


async def test_secret_with_a_line_break_is_refused_and_not_shown(scripted: ScriptedServer) -> None:
    """feed-10"""
    async with FeedClient(scripted.url("quiet"), "lrf_secret\r\nX: y") as feed:
        with pytest.raises(ValueError, match="letters") as refused:
            await anext(feed)
    assert "secret" not in str(refused.value)
