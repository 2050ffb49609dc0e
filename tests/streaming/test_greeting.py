"""Connecting: what a client presents and what it is told, against real servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from livereferrals.ids import random_identifier
from livereferrals.streaming import tokens
from tests.servers import HostServer, daphne_server, host_server
from tests.streaming.clients import OUR_CODE, PROTOCOL, feed
from tests.streaming.conftest import Reader, make_reader

pytestmark = pytest.mark.django_db(transaction=True)


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


async def test_token_revoked_while_open_ends_its_connection(daphne: HostServer, reader: Reader) -> None:
    """feed-8: in a process that did not revoke it, without a channel layer"""
    async with feed(daphne, reader.token) as client:
        await client.until("caught_up")
        await database_sync_to_async(tokens.revoke)(reader.row)
        error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("token_revoked", 4501)


async def test_partner_made_inactive_ends_its_connections(daphne: HostServer, reader: Reader) -> None:
    """feed-9"""
    async with feed(daphne, reader.token) as client:
        await client.until("caught_up")
        reader.partner.active = False
        await database_sync_to_async(reader.partner.save)()
        error, code = await client.ending()
        assert error is not None
        assert (error["code"], code) == ("forbidden", 4503)
    async with feed(daphne, reader.token) as client:
        assert (await client.ending())[1] == 4503


async def test_narrowed_token_sends_its_client_round_again(daphne: HostServer, reader: Reader) -> None:
    """feed-17: changed scopes end the connection with 4001, so that it comes back under the new ones"""
    async with feed(daphne, reader.token) as client:
        await client.until("caught_up")
        reader.row.scopes = ["confirmations"]
        await database_sync_to_async(reader.row.save)()
        error, code = await client.ending()
        assert error is not None
        assert (error["code"], error["retry"], code) == ("resync", True, 4001)
    async with feed(daphne, reader.token) as client:
        assert (await client.receive())["types"] == ["confirmation", "reversal"]


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


async def test_foreign_origin_is_refused_where_a_list_is_set(reader: Reader) -> None:
    """feed-15"""
    settings = {"FEED_ALLOWED_ORIGINS": ["https://partner.example"]}
    with daphne_server(LIVEREFERRALS=settings) as server:
        async with feed(server, reader.token) as client:
            assert (await client.receive())["type"] == "hello"
        async with feed(server, reader.token, headers={"Origin": "https://partner.example"}) as client:
            assert (await client.receive())["type"] == "hello"
        async with feed(server, reader.token, headers={"Origin": "https://evil.example"}) as client:
            error, code = await client.ending()
    assert error is not None
    assert (error["code"], code) == ("forbidden", 4503)


async def test_origin_is_nobodys_business_by_default(server: HostServer, reader: Reader) -> None:
    """feed-15"""
    async with feed(server, reader.token, headers={"Origin": "https://evil.example"}) as client:
        assert (await client.receive())["type"] == "hello"


async def test_cookies_are_ignored(server: HostServer, reader: Reader) -> None:
    """feed-15: a session, even a broken one, changes nothing"""
    async with feed(server, reader.token, headers={"Cookie": "sessionid=broken"}) as client:
        assert (await client.receive())["type"] == "hello"


async def test_plain_connection_is_refused_where_tls_is_required(reader: Reader) -> None:
    """feed-15: the header that the host trusts decides, and no other"""
    settings: dict[str, Any] = {
        "LIVEREFERRALS": {"FEED_REQUIRE_TLS": True},
        "SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"],
    }
    with host_server("uvicorn", **settings) as server:
        for headers in ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Ssl": "on"}):
            async with feed(server, reader.token, headers=headers) as client:
                assert (await client.ending())[1] == 4503
        async with feed(server, reader.token, headers={"X-Forwarded-Proto": "https"}) as client:
            assert (await client.receive())["type"] == "hello"


async def test_unknown_socket_path_is_refused_without_a_traceback(server: HostServer, reader: Reader) -> None:
    """feed-1: only the feed's own path is the feed"""
    for path in ("/referrals/feed/v1/nothing", "/feed/v1/ws", "/nothing"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(server.ws_url(path), proxy=None):
                pass
        assert refused.value.response.status_code == 403
    assert OUR_CODE not in server.output()
