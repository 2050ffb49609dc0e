"""Who is let in, and what it is told (feed protocol, 2, 3 and 6)."""

from __future__ import annotations

import asyncio
import re
import time
from statistics import median
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.conformance.following import seq

if TYPE_CHECKING:
    from tests.conformance.conftest import Target
    from tests.conformance.driver import Driver

HELLO_LIMITS = {
    "heartbeat_s",
    "window_events",
    "window_bytes",
    "batch_events",
    "message_bytes",
    "rate_bytes_s",
    "connection_s",
}
CURSOR = re.compile(r"[a-z0-9]{4,16}\.(0|[1-9][0-9]*)\Z")
BAD_QUERIES = (
    "types=hit,nothing",
    "types=",
    "links=spring",
    "cursor=oldest&cursor=newest",
    "cursor=oldest&since=2026-01-01T00:00:00Z",
    "on_gap=whatever",
    "batch=0",
    "since=yesterday",
)
UNKNOWN = "lrf_AAAAAAAAAAAA_" + "A" * 40
STREAMING = ("ws", "sse")


@pytest.mark.parametrize("way", STREAMING)
async def test_hello_comes_first_and_is_whole(target: Target, way: str) -> None:
    """feed-1"""
    async with target.read(way) as reader:
        hello = reader.messages[0]
    assert hello["type"] == "hello"
    assert hello["protocol"] == "livereferrals.v1"
    assert {"connection", "time", "topic", "types", "links", "epoch", "resume", "ack"} <= hello.keys()
    assert hello["limits"].keys() >= HELLO_LIMITS
    for place in ("cursor", "oldest", "newest"):
        assert CURSOR.match(hello[place])
        assert hello[place].startswith(f"{hello['epoch']}.")
    assert hello["resume"] == "live"


async def test_subprotocol_is_answered_exactly(target: Target) -> None:
    """feed-2"""
    async with target.read("ws", subprotocols=["something.else", "livereferrals.v1"]) as reader:
        assert reader.wire.subprotocol == "livereferrals.v1"


async def test_client_without_subprotocol_is_let_in(target: Target) -> None:
    """feed-3"""
    async with target.read("ws", subprotocols=[]) as reader:
        assert reader.wire.subprotocol is None


async def test_other_version_is_refused(target: Target) -> None:
    """feed-4"""
    assert (await target.refused("ws", subprotocols=["foo.v9"])).code == "unsupported_version"


async def test_missing_token_is_told_in_words(target: Target, transport: str) -> None:
    """feed-5: `error` and 4501 after the accept; over HTTP 401 with `WWW-Authenticate`"""
    ended = await target.refused(transport, token=None)
    assert ended.code == "unauthorized"
    if transport != "ws":
        assert ended.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_wrong_secret_and_unknown_id_are_told_alike(target: Target) -> None:
    """feed-6: in the same words and, within noise, the same time"""
    wrong = target.token[:-1] + ("a" if target.token[-1] != "a" else "b")
    told: set[str] = set()
    took: dict[str, list[float]] = {wrong: [], UNKNOWN: []}
    for _ in range(2):
        for token, times in took.items():
            before = time.perf_counter()
            told.add(str(await target.refused("ws", token=token)))
            times.append(time.perf_counter() - before)
    assert len(told) == 1
    assert abs(median(took[wrong]) - median(took[UNKNOWN])) < 5


async def test_expired_token_is_refused(target: Target, driver: Driver, transport: str) -> None:
    """feed-7"""
    token = await driver.token(expires_in_s=-1)
    assert (await target.refused(transport, token=token)).code == "token_expired"


async def test_open_connections_learn_what_their_token_has_lost(target: Target, driver: Driver) -> None:
    """feed-8, feed-9, feed-17: within 10 s, told by another process, without a channel layer, on every transport

    A token that was revoked, a partner that is not active any more, scopes that were narrowed.
    """
    changed, other = await driver.token(), await driver.token(of="other")
    async with (
        target.read("ws") as socket,
        target.read("sse") as stream,
        target.read("poll") as poll,
        target.read("ws", token=changed) as narrowed,
        target.read("ws", token=other) as inactive,
    ):
        readers = (socket, stream, poll, narrowed, inactive)
        await asyncio.gather(*(reader.ready() for reader in readers))
        await driver.revoke(target.token)
        await driver.change(changed, scopes=["hits"])
        await driver.deactivate(of="other")
        endings = await asyncio.gather(*(reader.until_ended(within_s=25) for reader in readers))
    codes = ["token_revoked"] * 3 + ["resync", "forbidden"]
    assert [ended.code for ended in endings] == codes
    assert all(ended.is_as_promised() for ended in endings)
    async with target.read("ws", token=changed) as reader:
        assert reader.messages[0]["types"] == ["hit"]
    assert (await target.refused("ws", token=other)).code == "forbidden"


async def test_token_in_a_url_is_refused(target: Target, server_driver: Driver | None, transport: str) -> None:
    """feed-10: and stands in no line of the log"""
    assert (await target.refused(transport, token=None, query=f"token={UNKNOWN}")).code == "token_in_url"
    if server_driver is not None:
        assert target.token.rpartition("_")[2] not in server_driver.log_text()


async def test_two_credentials_are_one_too_many(target: Target) -> None:
    """feed-14"""
    ended = await target.refused("ws", headers=[("Authorization", f"Bearer {UNKNOWN}")])
    assert ended.code == "bad_request"


async def test_origin_counts_where_one_is_sent(target: Target, driver: Driver, transport: str) -> None:
    """feed-15: the driver's server lists https://partner.example; a program sends none"""
    async with target.read(transport):
        pass
    assert (await target.refused(transport, headers=[("Origin", "https://evil.example")])).code == "forbidden"
    async with target.read(transport, headers=[("Origin", "https://partner.example")]):
        pass


async def test_bad_parameters_are_told(target: Target, transport: str) -> None:
    """feed-36: never silently an empty feed"""
    for query in BAD_QUERIES:
        assert (await target.refused(transport, query=query)).code == "bad_request", query


async def test_foreign_link_is_refused(target: Target, driver: Driver, transport: str) -> None:
    """feed-36"""
    assert (await target.refused(transport, links=await driver.link(of="other"))).code == "forbidden"


async def test_type_outside_the_scopes_is_refused(target: Target, driver: Driver, transport: str) -> None:
    """feed-36"""
    token = await driver.token(scopes=["confirmations"])
    assert (await target.refused(transport, token=token, types="hit")).code == "forbidden"


async def test_unknown_parameters_are_passed_over(target: Target, transport: str) -> None:
    """feed-36"""
    async with target.read(transport, something="else") as reader:
        assert seq(reader.position) >= 0


async def ticket(target: Target) -> str:
    """Get a ticket for the token."""
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {target.token}"}
        async with session.post(f"{target.base}/ticket", headers=headers) as answer:
            assert answer.status == 201
            given = await answer.json()
    assert given["expires_at"].endswith("Z")
    return str(given["ticket"])


async def test_ticket_opens_one_connection(target: Target, driver: Driver) -> None:
    """feed-11, feed-12: and that one outlives the ticket, which the driver's server gives two seconds"""
    text = await ticket(target)
    offered = [f"livereferrals.ticket.{text}", "livereferrals.v1"]
    late = await ticket(target)
    async with target.read("ws", token=None, subprotocols=offered) as reader:
        assert reader.wire.subprotocol == "livereferrals.v1"
        await reader.ready()
        again = await target.refused("ws", token=None, subprotocols=offered)
        assert (again.code, again.close) == ("ticket_used", 4501)
        assert (await target.refused("sse", token=None, ticket=text)).status == 401
        await asyncio.sleep(2.5)
        (sent,) = await driver.append()
        await reader.until_events(1)
        assert reader.ids() == [sent]
        assert (await target.refused("sse", token=None, ticket=late)).status == 401
    async with target.read("sse", token=None, ticket=await ticket(target)) as stream:
        await stream.ready()


async def test_half_a_handshake_harms_nobody(target: Target, driver: Driver) -> None:
    """feed-45: a request that ends in the middle"""
    host, port = re.findall(r"//([^:/]+):(\d+)", target.base)[0]
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /referrals/feed/v1/ws HTTP/1.1\r\nUpgrade: websocket\r\n")
    await writer.drain()
    writer.close()
    async with target.read("ws") as reader:
        await reader.ready()
    assert "Traceback" not in driver.log_text()
