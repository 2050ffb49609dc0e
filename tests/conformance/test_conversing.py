"""Acknowledging, heartbeats, and what a client must not say (feed protocol, 5.3 and 7)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conformance.following import SLACK_S, Reader, seq

if TYPE_CHECKING:
    from tests.conformance.conftest import Target
    from tests.conformance.driver import Driver

BAD = {
    "no-json": "hello?",
    "array": "[]",
    "empty": "{}",
    "big": json.dumps({"type": "ping", "id": "x" * 5000}),
    "binary": b"\x00\x01",
}


async def test_client_that_stops_acknowledging_gets_a_window_and_then_the_rest(target: Target, driver: Driver) -> None:
    """feed-39: nothing is missing"""
    async with target.read("ws", ack=1) as reader:
        await reader.ready()
        window = reader.messages[0]["limits"]["window_events"]
        reader.acks = False
        sent = await driver.append(window * 2 + window // 2)
        while len(reader.events) + window // 4 <= window:
            await reader.receive()
        assert len(reader.events) <= window
        await reader.say({"type": "ack", "cursor": reader.position})
        reader.acks = True
        await reader.until_events(len(sent))
    assert reader.ids() == sent


async def test_client_that_never_acknowledges_is_closed(target: Target, driver: Driver) -> None:
    """feed-40"""
    async with target.read("ws", ack=1) as reader:
        await reader.ready()
        reader.acks = False
        await driver.append(reader.messages[0]["limits"]["window_events"] * 2)
        ended = await reader.until_ended(within_s=90)
    assert (ended.code, ended.close) == ("slow_consumer", 4008)
    async with target.read("ws", cursor=reader.position) as again:
        assert again.messages[0]["resume"] == "ok"


async def test_acknowledgement_ahead_is_an_error_and_one_behind_is_not(target: Target, driver: Driver) -> None:
    """feed-42"""
    async with target.read("ws", ack=1) as reader:
        await reader.ready()
        start = reader.position
        await driver.append(2)
        await reader.until_events(2)
        await reader.say({"type": "ack", "cursor": start})
        await driver.append()
        await reader.until_events(3)
        epoch, _, number = reader.position.partition(".")
        await reader.say({"type": "ack", "cursor": f"{epoch}.{int(number) + 1000}"})
        ended = await reader.until_ended()
    assert (ended.code, ended.close) == ("protocol_error", 4500)


async def test_quiet_connection_gets_heartbeats_with_a_cursor(target: Target) -> None:
    """feed-43: within 1.2 times the interval, and what a busy machine adds"""
    async with target.read("ws") as reader:
        await reader.ready()
        every_s = reader.messages[0]["limits"]["heartbeat_s"]
        heartbeat = await reader.receive(within_s=every_s * 1.2 + SLACK_S)
    assert heartbeat["type"] == "heartbeat"
    assert seq(heartbeat["cursor"]) >= seq(heartbeat["prev"])


async def test_ping_is_answered(target: Target) -> None:
    """feed-44"""
    async with target.read("ws") as reader:
        await reader.ready()
        await reader.say({"type": "ping", "id": "p-ü-1"})
        pong = await reader.until("pong")
    assert (pong["id"], pong["cursor"]) == ("p-ü-1", reader.position)


@pytest.mark.parametrize("said", BAD.values(), ids=BAD.keys())
async def test_nonsense_ends_its_own_connection_only(target: Target, driver: Driver, said: str | bytes) -> None:
    """feed-45"""
    async with target.read("ws") as bystander, target.read("ws") as reader:
        await bystander.ready()
        await reader.ready()
        await reader.wire.send(said)
        ended = await reader.until_ended()
        (sent,) = await driver.append()
        await bystander.until_events(1)
    assert ended.close in {4500, 1006}
    assert ended.code in {"protocol_error", ""}
    assert bystander.ids() == [sent]


async def test_bad_utf_8_ends_the_connection(target: Target) -> None:
    """feed-45: some servers drop it at once"""
    async with target.read("ws") as reader:
        await reader.wire.send(b'{"type":"\xff"}', text=True)
        assert (await reader.until_ended()).close in {4500, 1006, 1007}


async def test_flood_ends_the_connection(target: Target) -> None:
    """feed-45: a hundred messages at once"""
    async with target.read("ws") as reader:
        try:
            for number in range(100):
                await reader.say({"type": "ping", "id": str(number)})
        except ConnectionClosed:
            pass
        assert (await reader.until_ended()).close in {4500, 1006}


async def test_unknown_message_is_passed_over(target: Target) -> None:
    """feed-46"""
    async with target.read("ws") as reader:
        await reader.say({"type": "something.new", "x": 1})
        await reader.say({"type": "ping", "id": "still there"})
        assert (await reader.until("pong"))["id"] == "still there"


async def test_messages_and_batches_keep_their_bounds(target: Target, driver: Driver) -> None:
    """feed-56: an event of nearly 32 KiB passes"""
    await driver.append(20, data={"landing": "x" * 31_000})
    await driver.append(600)
    async with target.read("ws", cursor="oldest") as reader:
        await reader.until_events(620, within_s=60)
    limits = reader.messages[0]["limits"]
    for message in reader.messages[1:]:
        assert len(json.dumps(message, separators=(",", ":")).encode()) <= limits["message_bytes"]
        assert len(message.get("events", ())) <= limits["batch_events"]


async def test_quiet_reader_need_not_say_anything(driver: Driver, reader: Reader) -> None:
    """feed-41: with `ack=0` silence is no fault"""
    (sent,) = await driver.append()
    await reader.until_events(1)
    assert reader.ids() == [sent]
