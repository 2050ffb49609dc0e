"""What the feed answers over HTTP beside its events: browsers' questions, hosts without ASGI, a feed that must end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.test import Client

from livereferrals.events.models import EventLog
from livereferrals.streaming import tokens
from tests.servers import HostServer, host_server
from tests.streaming.clients import OUR_CODE, feed
from tests.streaming.conftest import SETTINGS, Reader, make_reader
from tests.streaming.test_fuzz import watchers
from tests.streaming.twins import ask, bearer, event_source
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)

OWN = "https://partner.example"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "livereferrals.middleware.ReferralMiddleware",
]


@pytest.fixture(scope="module")
def guarded(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A host that lets one origin in, and asks for a login on every page."""
    settings = SETTINGS | {"FEED_ALLOWED_ORIGINS": [OWN]}
    with (
        django_db_blocker.unblock(),
        host_server("daphne", LIVEREFERRALS=settings, MIDDLEWARE=MIDDLEWARE) as running,
    ):
        yield running


@pytest.mark.once
async def test_pages_of_any_origin_may_read(server: HostServer, reader: Reader) -> None:
    """feed-15: without credentials of the browser's; errors can be read too"""
    for token, status in ((reader.token, 200), (None, 401)):
        answer = await ask(server, "poll", token, headers={"Origin": "https://any.example"})
        assert answer.status == status
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag, Feed-Cursor, Retry-After"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.once
async def test_browser_is_told_what_it_may_send(server: HostServer) -> None:
    """section 3: the preflight carries no credential and needs none"""
    for name, method in (("sse", "GET"), ("poll", "GET"), ("ticket", "POST")):
        asking = {"Origin": OWN, "Access-Control-Request-Method": method}
        answer = await ask(server, name, method="OPTIONS", headers=asking)
        assert (answer.status, answer.text) == (204, "")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == f"{method}, OPTIONS"
        assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, If-None-Match, Last-Event-ID"


@pytest.mark.once
async def test_foreign_origin_is_refused_where_a_list_is_set(guarded: HostServer, reader: Reader) -> None:
    """feed-15: on each endpoint and in the preflight; the good one is named, and programs send none"""
    for name, method in (("sse", "GET"), ("poll", "GET"), ("ticket", "POST"), ("ticket", "OPTIONS")):
        foreign = {"Origin": "https://evil.example"}
        answer = await ask(guarded, name, reader.token, method=method, headers=foreign)
        assert answer.told == (403, "forbidden")
        assert "Access-Control-Allow-Origin" not in answer.headers
    answer = await ask(guarded, "poll", reader.token, headers={"Origin": OWN})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, OWN)
    assert answer.headers["Vary"].startswith("Authorization, Origin")
    assert (await ask(guarded, "poll", reader.token)).status == 200


@pytest.mark.once
async def test_hosts_middleware_does_not_stand_in_the_way(guarded: HostServer, reader: Reader) -> None:
    """feed-15: no session, no login, no CSRF token; cookies are ignored"""
    cookies = {"Cookie": "sessionid=broken; csrftoken=broken"}
    assert (await ask(guarded, "ticket", reader.token, method="POST", headers=cookies)).status == 201
    async with event_source(guarded, reader.token, headers=cookies) as client:
        await client.until("caught_up")


@pytest.mark.once
async def test_other_methods_are_told_which_one(server: HostServer, reader: Reader) -> None:
    """section 9"""
    for name, method, allowed in (("sse", "POST", "GET"), ("poll", "DELETE", "GET"), ("ticket", "GET", "POST")):
        answer = await ask(server, name, reader.token, method=method)
        assert (*answer.told, answer.headers["Allow"]) == (405, "bad_request", f"{allowed}, OPTIONS")


@pytest.mark.once
async def test_token_in_the_url_is_refused(server: HostServer, reader: Reader) -> None:
    """feed-10"""
    for name in ("sse", "poll"):
        assert (await ask(server, name, access_token=reader.token)).told == (401, "token_in_url")


@pytest.mark.once
async def test_plain_request_is_refused_where_tls_is_required(reader: Reader) -> None:
    """feed-15: the header that the host trusts decides, and no other"""
    proxied: dict[str, Any] = {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}
    with host_server("uvicorn", LIVEREFERRALS=SETTINGS | {"FEED_REQUIRE_TLS": True}, **proxied) as server:
        for headers in ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Ssl": "on"}):
            assert (await ask(server, "poll", reader.token, headers=headers)).told == (403, "forbidden")
            async with feed(server, reader.token, headers=headers) as socket:
                assert (await socket.ending())[1] == 4503
        secure = {"X-Forwarded-Proto": "https"}
        assert (await ask(server, "poll", reader.token, headers=secure)).status == 200
        async with feed(server, reader.token, headers=secure) as socket:
            assert (await socket.receive())["type"] == "hello"


def revoke(reader: Reader) -> None:
    tokens.revoke(reader.row)


def narrow(reader: Reader) -> None:
    reader.row.scopes = ["hits"]
    reader.row.save()


def switch_off(reader: Reader) -> None:
    reader.partner.active = False
    reader.partner.save()


@pytest.mark.once
async def test_open_streams_and_polls_end_with_their_token(uvicorn: HostServer, transactional_db: None) -> None:
    """feed-8, feed-9, feed-17: within 10 s, in the process that did not revoke, without a channel layer"""
    ends = {revoke: ("token_revoked", 401), switch_off: ("forbidden", 403), narrow: ("resync", 200)}
    readers = [(await database_sync_to_async(make_reader)(), act, *told) for act, told in ends.items()]

    async def follow(reader: Reader, act: Any, code: str, status: int) -> None:
        cursor = (await ask(uvicorn, "poll", reader.token)).json["cursor"]
        waiting = asyncio.ensure_future(ask(uvicorn, "poll", reader.token, cursor=cursor, wait=30))
        async with event_source(uvicorn, reader.token) as client:
            await client.until("caught_up")
            await database_sync_to_async(act)(reader)
            last = await client.ending()
        assert last is not None
        assert (last["type"], last["code"]) == ("error", code)
        answer = await waiting
        assert answer.status == status
        again = await ask(uvicorn, "sse", reader.token, cursor="bad")
        assert again.status == (400 if status == 200 else status)

    await asyncio.gather(*(follow(*one) for one in readers))
    assert OUR_CODE not in uvicorn.output()


async def test_renumbered_log_ends_streams_and_polls(server: HostServer, reader: Reader) -> None:
    """feed-31: a poll answers with what it has; the next request is told"""
    cursor = (await ask(server, "poll", reader.token)).json["cursor"]
    waiting = asyncio.ensure_future(ask(server, "poll", reader.token, cursor=cursor, wait=30))
    async with event_source(server, reader.token) as client:
        await client.until("caught_up")
        await eventually(lambda: watchers(2))  # the poll waits, too
        await database_sync_to_async(EventLog.objects.update)(epoch="another1")
        last = await client.ending()
    assert last is not None
    assert (last["code"], last["retry"]) == ("resync", True)
    answer = await waiting
    assert (answer.status, answer.json["cursor"], answer.json["events"]) == (200, cursor, [])
    assert (await ask(server, "poll", reader.token, cursor=cursor)).told == (410, "other_epoch")


def test_server_without_asgi_says_so(reader: Reader) -> None:
    """design, "where the documents meet": under WSGI streams and waiting polls answer 501; what need not wait works"""
    reader.append(3)
    client = Client(headers=bearer(reader.token))
    for path in ("sse", "poll", "poll?wait=5"):
        answer = client.get(f"/referrals/feed/v1/{path}")
        assert (answer.status_code, json.loads(answer.content)["type"]) == (501, "error")
    page = client.get("/referrals/feed/v1/poll?cursor=oldest&wait=0").json()
    assert len(page["events"]) == 3
    assert client.post("/referrals/feed/v1/ticket").status_code == 201
    assert client.get("/referrals/feed/v1/poll?wait=0&cursor=x").status_code == 400
    assert client.get("/referrals/feed/v1/poll?wait=x").status_code == 400
