"""Coming back: every outcome of the protocol's table (section 8)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.conformance.following import seq

if TYPE_CHECKING:
    from tests.conformance.conftest import Target
    from tests.conformance.driver import Driver

GARBAGE = {
    "empty": "",
    "dot": ".",
    "no-seq": "a.",
    "no-epoch": ".1",
    "negative": "k3f9.-1",
    "leading-zero": "k3f9.01",
    "float": "k3f9.1e3",
    "long": "k" * 5000,
    "nul": "k3f9.1\0",
    "percent-nul": "k3f9.%00",
    "full-width": "k3f9.\uff11\uff12",
    "too-big": f"k3f9.{2**63}",
}


async def place(target: Target, way: str = "ws", **how: object) -> tuple[str, str]:
    """Return the oldest and the newest cursor of the server."""
    async with target.read(way, **how) as reader:
        hello = reader.messages[0]
    return hello["oldest"], hello["newest"]


def moved(cursor: str, by: int) -> str:
    """Return the cursor so many events further on."""
    epoch, _, number = cursor.partition(".")
    return f"{epoch}.{int(number) + by}"


async def test_resume_gives_exactly_the_rest(target: Target, driver: Driver, transport: str) -> None:
    """feed-22"""
    sent = await driver.append(6)
    async with target.read(transport, cursor="oldest", types="hit") as first:
        await first.until_events(6)
        third = first.events[2]["cursor"]
    async with target.read(transport, cursor=third) as again:
        await again.until_events(3)
        (live,) = await driver.append()
        await again.until_events(4)
    assert again.ids() == [*sent[3:], live]


async def test_resume_at_the_newest_gives_nothing_twice(target: Target, driver: Driver, transport: str) -> None:
    """feed-23"""
    await driver.append(3)
    _, newest = await place(target)
    async with target.read(transport, cursor=newest) as reader:
        await reader.ready()
        (live,) = await driver.append()
        await reader.until_events(1)
    assert reader.ids() == [live]


async def test_cursor_inside_a_batch_is_a_place(target: Target, driver: Driver) -> None:
    """feed-24: an event's own cursor"""
    sent = await driver.append(5)
    async with target.read("ws", cursor="oldest") as reader:
        await reader.until_events(5)
    batch = next(message for message in reader.messages if message["type"] == "events")
    assert len(batch["events"]) == 5
    async with target.read("ws", cursor=batch["events"][1]["cursor"]) as again:
        await again.until_events(3)
    assert again.ids() == sent[2:]


async def test_cursor_holds_in_another_process(target: Target, driver: Driver, transport: str) -> None:
    """feed-25, feed-26: also where that process has not seen the newest events yet"""
    await driver.append(2)
    _, newest = await place(target)
    sent = await driver.append(2)
    async with target.read(transport, cursor=newest, base=driver.elsewhere()) as reader:
        await reader.until_events(2)
    assert reader.ids() == sent
    async with target.read(transport, cursor=reader.position) as here:
        assert here.position == reader.position


async def test_cursor_beyond_the_head_is_refused(target: Target, transport: str) -> None:
    """feed-27"""
    _, newest = await place(target)
    ended = await target.refused(transport, cursor=moved(newest, 1_000_000))
    assert ended.code == "cursor_in_future"


async def test_too_old_is_told_with_where_to_go_on(target: Target, driver: Driver, transport: str) -> None:
    """feed-28, feed-29: and that place works; exactly at `oldest` is not too old"""
    await driver.append(4)
    oldest, _ = await place(target)
    await driver.prune()
    sent = await driver.append(2)
    ended = await target.refused(transport, cursor=oldest)
    assert ended.code == "cursor_too_old"
    assert seq(ended.problem["oldest"]) == seq(oldest) + 4
    assert (await target.refused(transport, cursor=moved(ended.problem["oldest"], -1))).code == "cursor_too_old"
    async with target.read(transport, cursor=ended.problem["oldest"]) as reader:
        await reader.until_events(2)
    assert reader.ids() == sent


async def test_gap_that_was_agreed_to_is_told(target: Target, driver: Driver) -> None:
    """feed-30: then all that is kept"""
    await driver.append(4)
    oldest, _ = await place(target)
    await driver.prune()
    sent = await driver.append(2)
    async with target.read("ws", cursor=oldest, on_gap="oldest") as reader:
        hello = reader.messages[0]
        await reader.until_events(2)
    assert hello["resume"] == "gap"
    assert hello["gap"] == {"reason": "cursor_too_old", "from": oldest, "to": hello["oldest"]}
    assert reader.ids() == sent


async def test_other_epoch_is_told(target: Target, driver: Driver, transport: str) -> None:
    """feed-31: with either `on_gap`"""
    await driver.append(2)
    _, newest = await place(target)
    await driver.new_epoch()
    ended = await target.refused(transport, cursor=newest)
    assert ended.code == "other_epoch"
    async with target.read("ws", cursor=newest, on_gap="oldest") as reader:
        hello = reader.messages[0]
    assert (hello["resume"], hello["gap"]["reason"]) == ("gap", "other_epoch")


async def test_garbage_is_no_cursor(target: Target, transport: str) -> None:
    """feed-32"""
    for name, text in GARBAGE.items():
        ended = await target.refused(transport, query=f"cursor={quote(text)}")
        assert ended.code == "bad_cursor", name


async def test_oldest_of_an_empty_log_is_a_place(target: Target, driver: Driver, transport: str) -> None:
    """feed-33"""
    await driver.prune()
    async with target.read(transport, cursor="oldest") as reader:
        await reader.ready()
        (live,) = await driver.append()
        await reader.until_events(1)
    assert reader.ids() == [live]


async def test_prune_under_a_laggard_is_an_error_and_no_jump(target: Target, driver: Driver) -> None:
    """feed-34"""
    async with target.read("ws", ack=1) as reader:
        await reader.ready()
        reader.acks = False
        window = reader.messages[0]["limits"]["window_events"]
        # More than a server keeps at hand besides its log.
        await driver.append(window * 10)
        await reader.until_events(window // 2)
        await driver.prune()
        await reader.say({"type": "ack", "cursor": reader.position})
        reader.acks = True
        ended = await reader.until_ended()
    assert (ended.code, ended.close) == ("cursor_too_old", 4510)
    assert (await target.refused("ws", cursor=reader.position)).code == "cursor_too_old"


async def test_quiet_filter_moves_on_and_does_not_age(target: Target, driver: Driver) -> None:
    """feed-35"""
    async with target.read("ws", types="delivery") as reader:
        await reader.ready()
        await driver.append(100, of="other")
        target_seq = seq(reader.position) + 100
        async with asyncio.timeout(60):
            while seq(reader.position) < target_seq:
                await reader.until("heartbeat", within_s=60)
    assert reader.events == []
    async with target.read("ws", cursor=reader.position) as again:
        assert again.messages[0]["resume"] == "ok"


async def test_since_starts_at_the_first_event_numbered_from_then_on(
    target: Target, driver: Driver, transport: str
) -> None:
    """feed-37"""
    await driver.append(2)
    async with target.read("ws") as reader:
        moment = reader.messages[0]["time"]
    sent = await driver.append(2)
    async with target.read(transport, since=moment) as reader:
        await reader.until_events(2)
    assert reader.ids() == sent


async def test_history_goes_over_into_the_present(target: Target, driver: Driver, transport: str) -> None:
    """feed-38: in order, `caught_up` once, and no live event overtakes"""
    history = await driver.append(1200)
    writing = asyncio.create_task(append_in_steps(driver))
    async with target.read(transport, cursor="oldest") as reader:
        live = await writing
        await reader.until_events(1200 + len(live), within_s=60)
        kinds = [message["type"] for message in reader.messages]
    assert reader.ids() == [*history, *live]
    if transport != "poll":
        assert kinds.count("caught_up") <= 1


async def append_in_steps(driver: Driver) -> list[str]:
    """Commit some events, one transaction after the other."""
    return [each for _ in range(20) for each in await driver.append(5)]
