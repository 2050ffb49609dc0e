"""The client's pure rules: waits, cursors, what a message may be, and a stream that comes in any pieces."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.client import FeedClient, MemoryCursorStore, Timing
from livereferrals.client.connections import HungUp, make_session
from livereferrals.client.cursors import is_cursor, is_later
from livereferrals.client.errors import Breach, Dropped
from livereferrals.client.messages import CaughtUp, Goodbye, Hello, Piece, Problem, parse
from livereferrals.client.sse import EventStream
from livereferrals.client.timing import pause_before
from tests.partner import Answer
from tests.protocol.scripts import GOLDEN
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.partner import PartnerSink
    from tests.protocol.scripted import ScriptedServer

pytestmark = pytest.mark.once


def test_waits_grow_to_their_cap_with_full_jitter() -> None:
    """feed-59: random(0, min(60, 0.5 * 2^n)), and at least what the server asks for"""
    timing = Timing()

    def wait(attempt: int, chance: float, at_least_s: float = 0) -> float:
        return pause_before(attempt, chance=chance, at_least_s=at_least_s, timing=timing)

    assert [wait(n, 1) for n in (0, 1, 2, 6, 7, 100_000)] == [0.5, 1, 2, 32, 60, 60]
    assert (wait(5, 0), wait(3, 0.5), wait(0, 1, at_least_s=90)) == (0, 2, 90)


async def test_waits_begin_anew_only_after_the_feed_was_live_for_a_while(scripted: ScriptedServer) -> None:
    """feed-59: not on connect, or a server that lets in and drops would be called without pause"""
    dropping: list[Any] = [[["hello"], ["caught_up", 10], ["close", 1001]]] * 4 + [[["hello"], ["silence"]]]

    async def waits(steady_s: float) -> list[float]:
        asked: list[float] = []

        def chance() -> float:
            asked.append(0)
            return 0

        url = scripted.url(dropping)
        timing = Timing(steady_s=steady_s)
        async with FeedClient(url, "lrf_a_b", chance=chance, timing=timing, start="k3f9.10") as feed:
            asking = asyncio.ensure_future(anext(feed))
            await eventually(lambda: len(scripted.run(url).asked) == 5)
            failures = feed._line._failures  # type: ignore[union-attr] # what waits are made of
            asking.cancel()
        return [failures, len(asked)]

    assert await waits(30) == [4, 4]
    assert await waits(0) == [1, 4]


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_cursors_are_compared_by_number_and_only_within_an_epoch(one: int, other: int) -> None:
    assert is_later(f"k3f9.{one}", f"k3f9.{other}") == (one > other)
    assert not is_later(f"k3f9.{one}", f"zz99.{other}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".1",
        "k3f9.-1",
        "k3f9.01",
        "k3f9.1e3",
        "k3f9.\uff11",
        "k3f9.9223372036854775808",
        "k3f9.1\n",
        None,
        1,
    ],
    ids=repr,
)
def test_what_is_no_cursor_is_not_taken_for_one(text: object) -> None:
    """feed-32"""
    assert not is_cursor(text)


def test_golden_messages_are_understood() -> None:
    """feed-1, feed-18, feed-43"""
    kinds = {name: type(parse(json.dumps(message))) for name, message in GOLDEN["server"].items()}
    assert kinds.pop("pong") is type(None)
    assert kinds == {
        "hello": Hello,
        "hello_gap": Hello,
        "events": Piece,
        "heartbeat": Piece,
        "caught_up": CaughtUp,
        "error_too_old": Problem,
        "error_unavailable": Problem,
        "goodbye": Goodbye,
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("cursor", "prev", "events", "newest", "limits", "gap", "close", "code", "retry_after_s", "resume", "oldest")


@given(st.sampled_from(["hello", "events", "heartbeat", "caught_up", "error", "goodbye"]), st.data())
def test_broken_messages_end_a_connection_and_nothing_else(kind: str, data: st.DataObject) -> None:
    """feed-45, the other way round: whatever a server sends, the client has a defined answer"""
    golden = next(message for message in GOLDEN["server"].values() if message["type"] == kind)
    changes = data.draw(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
    with contextlib.suppress(Breach):
        parse(json.dumps(golden | changes))


@given(st.dictionaries(st.sampled_from(["v", "id", "type", "time", "partner", "link", "data"]), JSON))
def test_event_of_any_shape_is_handed_out(changes: dict[str, Any]) -> None:
    """feed-59: unknown types and versions pass, with everything they have"""
    raw = GOLDEN["server"]["events"]["events"][0] | changes
    message = GOLDEN["server"]["events"] | {"events": [raw]}
    piece = parse(json.dumps(message))
    assert isinstance(piece, Piece)
    assert piece.events[0].raw == raw


@given(st.lists(st.integers(1, 40)), st.sampled_from(["\n", "\r", "\r\n"]))
def test_stream_may_come_in_any_pieces_and_with_any_line_ends(sizes: list[int], end: str) -> None:
    """feed-55: as the standard has it; comments and unknown fields pass"""
    told = [
        "\ufeffretry: 3100",
        "",
        ": comment",
        "event: hello",
        "id: k3f9.1",
        'data: {"ä":1}',
        "",
        "data:x",
        "data: y",
        "",
    ]
    content = (end.join(told) + end + ("" if end != "\r" else ":")).encode()
    stream, found, rest = EventStream(), list[str](), content
    for size in itertools.cycle([*sizes, 7]):
        found += stream.feed(rest[:size])
        rest = rest[size:]
        if not rest:
            break
    assert found == ['{"ä":1}', "x\ny"]


async def test_request_is_made_once_where_the_server_hangs_up(sink: PartnerSink) -> None:
    """feed-59: aiohttp would repeat it at once, behind the back of the client's own wait"""
    sink.default = Answer(manner="close")
    async with make_session() as session:
        with pytest.raises(HungUp):
            await session.get(sink.url("/feed/v1/poll"))
        with pytest.raises(HungUp):
            await session.ws_connect(sink.url("/feed/v1/ws"))
    assert len(sink.calls) == 2


async def test_redirect_is_refused_before_anything_follows_it(sink: PartnerSink) -> None:
    """feed-10: a token goes where its owner has sent it"""
    sink.default = Answer(status=302, headers={"Location": sink.url("/elsewhere?secret=1")})
    async with make_session() as session:
        with pytest.raises(Dropped, match="redirects") as refused:
            await session.get(sink.url("/feed/v1/sse"))
    assert refused.value.is_final
    assert "secret" not in str(refused.value)
    assert len(sink.calls) == 1


async def test_no_credential_is_shown_by_what_is_logged_or_printed(
    scripted: ScriptedServer, caplog: Any, capsys: Any
) -> None:
    """feed-10"""
    caplog.set_level("DEBUG", logger="livereferrals")
    feed = FeedClient(
        scripted.url("away"), "lrf_a_secret", store=MemoryCursorStore("k3f9.10"), timing=Timing(base_s=0.01)
    )
    async with feed:
        await anext(feed)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("livereferrals")]
    assert ours
    assert "lrf_a_secret" not in repr([ours, feed, feed._plan, vars(feed)])


async def test_session_keeps_neither_cookies_nor_connections() -> None:
    async with make_session() as session:
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert session.connector is not None
        assert session.connector.force_close
