"""What arrives, and what does not (feed protocol, 1, 5 and 6)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.conformance.following import Reader, seq

if TYPE_CHECKING:
    from tests.conformance.conftest import Target
    from tests.conformance.driver import Driver


async def test_event_arrives_once(driver: Driver, reader: Reader) -> None:
    """feed-18: with `prev` not later than the position, and `cursor` beyond `prev`"""
    before = reader.position
    (first,) = await driver.append()
    await reader.until_events(1)
    batch = reader.messages[-1]
    assert seq(batch["prev"]) <= seq(before)
    assert seq(batch["cursor"]) > seq(batch["prev"])
    (second,) = await driver.append()
    await reader.until_events(2)
    assert reader.ids() == [first, second]


async def test_event_has_every_field(driver: Driver, reader: Reader) -> None:
    """feed-18"""
    await driver.append(on_link=True)
    (event,) = await reader.until_events(1)
    assert event.keys() >= {"v", "cursor", "id", "type", "time", "partner", "link", "data"}
    assert (event["v"], event["type"]) == (1, "hit")
    assert event["time"].endswith("Z")
    assert event["link"].keys() == {"id", "identifier"}


async def test_partner_gets_nothing_of_another(target: Target, driver: Driver, transport: str) -> None:
    """feed-16: nor anything of the house's, neither as it happens nor as history"""
    foreign = await driver.token(of="other")
    async with target.read(transport) as mine, target.read(transport, token=foreign) as theirs:
        await asyncio.gather(mine.ready(), theirs.ready())
        start = mine.position
        own: list[str] = []
        others: list[str] = []
        for _ in range(4):
            own += await driver.append(20)
            others += await driver.append(20, of="other")
            await driver.append(20, of="house")
        await asyncio.gather(mine.until_events(80), theirs.until_events(80))
    assert (mine.ids(), theirs.ids()) == (own, others)
    async with target.read(transport, cursor=start) as again:
        await again.until_events(80)
    assert again.ids() == own


async def test_scopes_decide_what_is_sent(target: Target, driver: Driver) -> None:
    """feed-17: without `amounts` amounts are null; without `hits` there are no hits"""
    narrow = await driver.token(scopes=["confirmations"])
    async with target.read("ws") as wide, target.read("ws", token=narrow) as narrowed:
        await asyncio.gather(wide.ready(), narrowed.ready())
        await driver.append()
        await driver.append(type="confirmation", data={"amount": "12.50", "currency": "EUR"})
        await asyncio.gather(wide.until_events(2), narrowed.until_events(1))
    assert wide.events[1]["data"]["amount"] == "12.50"
    assert [event["type"] for event in narrowed.events] == ["confirmation"]
    assert narrowed.events[0]["data"]["amount"] is None


async def test_concurrent_transactions_arrive_whole(driver: Driver, reader: Reader) -> None:
    """feed-19: in order, without a duplicate; the chain is the reader's own rule"""
    await driver.append_concurrently(20, each=5)
    await reader.until_events(100, within_s=40)
    assert len(set(reader.ids())) == 100


async def test_event_rolled_back_is_never_seen(driver: Driver, reader: Reader) -> None:
    """feed-20"""
    await driver.append_and_roll_back()
    (kept,) = await driver.append()
    await reader.until_events(1)
    assert reader.ids() == [kept]


async def test_savepoint_rolled_back_is_not_seen(driver: Driver, reader: Reader) -> None:
    """feed-21: the outer one is"""
    outer = await driver.append_around_savepoint()
    (later,) = await driver.append()
    await reader.until_events(2)
    assert reader.ids() == [outer, later]


async def test_writer_that_died_before_the_numbering_loses_nothing(driver: Driver, reader: Reader) -> None:
    """feed-61: within 5 s, and what a busy machine adds; once"""
    left = await driver.append_and_die()
    await reader.until_events(1, within_s=10)
    assert reader.ids() == [left]


async def test_open_transaction_delays_nobody_else(driver: Driver, reader: Reader) -> None:
    """feed-62: and its own events come after its commit"""

    async def meanwhile() -> None:
        await driver.append(3)
        await reader.until_events(3)

    held = await driver.append_slowly(meanwhile=meanwhile)
    await reader.until_events(4)
    assert reader.ids()[3] == held


async def test_time_may_go_back_and_the_order_holds(driver: Driver, reader: Reader) -> None:
    """feed-52"""
    (late,) = await driver.append()
    (early,) = await driver.append(hours_ago=1)
    await reader.until_events(2)
    assert reader.ids() == [late, early]
    assert reader.events[0]["time"] > reader.events[1]["time"]


async def test_two_processes_tell_the_same(target: Target, driver: Driver, transport: str) -> None:
    """feed-51: without a channel layer, by looking"""
    async with (
        target.read(transport) as here,
        target.read(transport, base=driver.elsewhere()) as there,
    ):
        await asyncio.gather(here.ready(), there.ready())
        sent = await driver.append(10)
        await asyncio.gather(here.until_events(10), there.until_events(10))
    assert here.ids() == there.ids() == sent
    assert [event["cursor"] for event in here.events] == [event["cursor"] for event in there.events]


async def test_callback_body_is_the_feed_event(driver: Driver, reader: Reader) -> None:
    """feed-58: byte for byte in canonical form"""
    bodies = await driver.callback_bodies()
    await reader.until_events(1)
    fed = next(event for event in reader.events if event["type"] == "confirmation")
    assert bodies == [canonical(fed)]


async def test_erasure_empties_old_events_and_moves_no_cursor(target: Target, driver: Driver, transport: str) -> None:
    """feed-57"""
    told = await driver.append_of_person()
    await driver.append()
    async with target.read(transport, cursor="oldest") as before:
        await before.until_events(2)
    await driver.erase_person()
    async with target.read(transport, cursor="oldest") as after:
        await after.until_events(2)
    assert before.ids()[0] == told
    assert before.events[0]["data"]["user"] is not None
    assert (after.events[0]["data"]["user"], after.events[0]["data"]["visitor"]) == (None, None)
    assert [event["cursor"] for event in after.events] == [event["cursor"] for event in before.events]


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces, non-ASCII as it is, in UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
