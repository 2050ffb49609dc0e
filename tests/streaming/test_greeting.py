"""Connecting: what a client presents and what it is told, against real servers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livereferrals.ids import random_identifier
from tests.streaming.clients import OUR_CODE, PROTOCOL, feed
from tests.streaming.conftest import Reader, make_reader

if TYPE_CHECKING:
    from tests.servers import HostServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


async def test_first_message_is_hello_with_every_field(server: HostServer, reader: Reader) -> None:
    """feed-1"""
    await database_sync_to_async(reader.append)(3)
    async with feed(server, reader.token, ack=1) as client:
        hello = await client.receive()
        following = await client.receive()
    epoch = hello["epoch"]
    assert hello.pop("connection").startswith("c_")
    assert hello.pop("time").endswith("Z")
    assert hello == {
        "type": "hello",
        "protocol": "livereferrals.v1",
        "topic": f"partner:{reader.partner.uid}",
        "types": ["hit", "claim", "confirmation", "reversal", "delivery"],
        "links": None,
        "epoch": epoch,
        "cursor": f"{epoch}.3",
        "oldest": f"{epoch}.0",
        "newest": f"{epoch}.3",
        "resume": "live",
        "ack": True,
        "limits": {
            "heartbeat_s": 20,
            "window_events": 2000,
            "window_bytes": 1_048_576,
            "batch_events": 500,
            "message_bytes": 262_144,
            "rate_bytes_s": 65_536,
            "connection_s": 43_200,
        },
    }
    assert following == {"type": "caught_up", "cursor": f"{epoch}.3"}


async def test_subprotocol_answer_is_exactly_v1(server: HostServer, reader: Reader) -> None:
    """feed-2"""
    async with feed(server, reader.token, subprotocols=["foo.v9", PROTOCOL, "livereferrals.bearer.x"]) as client:
        assert client.socket.subprotocol == PROTOCOL
        assert (await client.receive())["type"] == "hello"


async def test_client_that_offers_no_subprotocol_gets_v1(server: HostServer, reader: Reader) -> None:
    """feed-3"""
    async with feed(server, reader.token, subprotocols=[]) as client:
        assert client.socket.subprotocol is None
        assert (await client.receive())["protocol"] == PROTOCOL


async def test_client_that_offers_only_another_version_is_refused(server: HostServer, reader: Reader) -> None:
    """feed-4"""
    async with feed(server, reader.token, subprotocols=["foo.v9"]) as client:
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], error["close"], error["retry"], code) == ("unsupported_version", 4505, False, 4505)


async def test_missing_token_is_told_after_the_accept(server: HostServer, reader: Reader) -> None:
    """feed-5"""
    async with feed(server, None) as client:
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("unauthorized", 4501)


async def test_wrong_secret_and_unknown_id_get_the_same_answer(server: HostServer, reader: Reader) -> None:
    """feed-6"""
    wrong_secret = f"lrf_{reader.row.pk}_{random_identifier(40)}"
    unknown = f"lrf_{random_identifier(12)}_{random_identifier(40)}"
    answers = []
    for token in (wrong_secret, unknown, "garbage"):
        async with feed(server, token) as client:
            answers.append(await client.ending())
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][1] == 4501


async def test_expired_token_is_refused(server: HostServer, transactional_db: None) -> None:
    """feed-7"""
    expired = await database_sync_to_async(make_reader)(expires_at=timezone.now() - timedelta(seconds=1))
    async with feed(server, expired.token) as client:
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("token_expired", 4501)


@pytest.mark.parametrize("name", ["token", "access_token", "other"])
async def test_token_in_the_url_is_refused(server: HostServer, reader: Reader, name: str) -> None:
    """feed-10"""
    async with feed(server, None, query=f"{name}={reader.token}") as client:
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("token_in_url", 4501)


async def test_no_credential_is_in_daphnes_log(server: HostServer, reader: Reader) -> None:
    """feed-10"""
    async with feed(server, reader.token) as client:
        await client.until("caught_up")
    async with feed(server, f"{reader.token}x") as client:
        await client.ending()
    assert reader.token not in server.output()


async def test_two_different_tokens_are_a_bad_request(server: HostServer, reader: Reader) -> None:
    """feed-14: two headers, which daphne joins with a comma; the same token twice is fine"""
    other = await database_sync_to_async(make_reader)()
    async with feed(server, reader.token, headers=[("Authorization", f"Bearer {other.token}")]) as client:
        error, code = await client.ending()
        assert error is not None
        assert (error["code"], code) == ("bad_request", 4514)
    async with feed(server, reader.token, headers=[("Authorization", f"Bearer {reader.token}")]) as client:
        assert (await client.receive())["type"] == "hello"


async def test_origin_is_nobodys_business_by_default(server: HostServer, reader: Reader) -> None:
    """feed-15"""
    async with feed(server, reader.token, headers={"Origin": "https://evil.example"}) as client:
        assert (await client.receive())["type"] == "hello"


async def test_cookies_are_ignored(server: HostServer, reader: Reader) -> None:
    """feed-15: a session, even a broken one, changes nothing"""
    async with feed(server, reader.token, headers={"Cookie": "sessionid=broken"}) as client:
        assert (await client.receive())["type"] == "hello"


async def test_unknown_socket_path_is_refused_without_a_traceback(server: HostServer, reader: Reader) -> None:
    """feed-1: only the feed's own path is the feed"""
    for path in ("/referrals/feed/v1/nothing", "/feed/v1/ws", "/nothing"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(server.ws_url(path), proxy=None):
                pass
        assert refused.value.response.status_code == 403
    assert OUR_CODE not in server.output()
