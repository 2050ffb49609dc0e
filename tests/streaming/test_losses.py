"""What a feed on several processes loses with its channel layer or its database: time, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from channels.db import database_sync_to_async
from django.db import connection
from psycopg.sql import SQL, Identifier, Literal
from websockets.exceptions import ConnectionClosed

from livereferrals.streaming import revocation, tokens
from livereferrals.tracking.models import Partner
from tests.ports import own_port
from tests.servers import HostServer, host_server, valkey_server
from tests.streaming.clients import RawFeed, feed, seq
from tests.streaming.conftest import SETTINGS, Reader, make_reader
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.contextmanager
def two_servers(**options: Any) -> Iterator[list[HostServer]]:
    """Run a daphne and a uvicorn on the same database."""
    with host_server("daphne", **options) as first, host_server("uvicorn", **options) as second:
        yield [first, second]


@contextlib.asynccontextmanager
async def each_watched(servers: list[HostServer], reader: Reader) -> AsyncIterator[list[RawFeed]]:
    """Hold a connection to each server, caught up."""
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(feed(server, reader.token, ack=1)) for server in servers]
        for client in clients:
            await client.until("caught_up")
        yield clients


def chain(client: RawFeed) -> list[int]:
    """Return the numbers of what a client has got."""
    return [seq(event["cursor"]) for event in client.events]


@pytest.mark.once
async def test_hints_cross_processes_and_losing_them_only_delays(reader: Reader) -> None:
    """feed-51: Valkey stopped, restarted and full; between a daphne and a uvicorn nothing is lost"""
    port = own_port()
    settings = SETTINGS | {"FEED_POLL_INTERVAL": 1}
    with contextlib.ExitStack() as stack:
        valkey = stack.enter_context(contextlib.ExitStack())
        url = valkey.enter_context(valkey_server(port=port))
        servers = stack.enter_context(two_servers(redis_url=url, LIVEREFERRALS=settings))
        async with each_watched(servers, reader) as clients:
            await database_sync_to_async(reader.append)(3)
            await got(clients, 3)
            valkey.close()  # frames come by the poll
            for count in (4, 5):
                await database_sync_to_async(reader.append)()
                await got(clients, count)
            url = valkey.enter_context(valkey_server(port=port))
            await database_sync_to_async(reader.append)()
            await got(clients, 6)
            await set_max_memory(url, "1mb")  # every write is refused now
            await database_sync_to_async(reader.append)()
            await got(clients, 7)
        assert [chain(client) for client in clients] == [[1, 2, 3, 4, 5, 6, 7]] * 2


async def got(clients: list[RawFeed], count: int) -> None:
    await asyncio.gather(*(client.until_events(count) for client in clients))


async def set_max_memory(url: str, most: str) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as valkey:
        await valkey.config_set("maxmemory-policy", "noeviction")
        await valkey.config_set("maxmemory", most)


@pytest.mark.once
async def test_without_a_channel_layer_processes_poll(reader: Reader) -> None:
    """feed-51, feed-19: no layer at all; each of 30 transactions on two servers, in order"""
    with two_servers(LIVEREFERRALS=SETTINGS) as servers:
        async with each_watched(servers, reader) as clients:
            for _ in range(30):
                await database_sync_to_async(reader.append)()
            await got(clients, 30)
    assert [chain(client) for client in clients] == [list(range(1, 31))] * 2


@pytest.mark.once
@pytest.mark.parametrize("change", ["revoked", "deleted", "inactive"])
async def test_revocation_reaches_another_process_at_once(valkey_layer: str, hinted: HostServer, change: str) -> None:
    """feed-8, feed-9: by a hint over the channel layer, where the process itself looks every five seconds"""
    first, second = [await database_sync_to_async(make_reader)() for _ in range(2)]
    async with feed(hinted, first.token) as before, feed(hinted, second.token) as client:
        await client.until("caught_up")
        await database_sync_to_async(end_token)(first, "revoked")
        await before.ending()
        # The tokens have just been looked at: without a hint the next look is five seconds away.
        began = asyncio.get_running_loop().time()
        await database_sync_to_async(end_token)(second, change)
        error, code = await client.ending()
        took_s = asyncio.get_running_loop().time() - began
    assert error is not None
    assert (error["code"], code) == (("forbidden", 4503) if change == "inactive" else ("token_revoked", 4501))
    assert took_s < revocation.EVERY_S - 1


def end_token(reader: Reader, change: str) -> None:
    if change == "revoked":
        tokens.revoke(reader.row)
    elif change == "deleted":
        reader.row.delete()
    else:
        partner = Partner.objects.get(pk=reader.partner.pk)
        partner.active = False
        partner.save()


@pytest.fixture(scope="module")
def hinted(valkey_url: str, django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """A server on the same channel layer as the tests."""
    with (
        django_db_blocker.unblock(),
        host_server("daphne", redis_url=valkey_url, LIVEREFERRALS=SETTINGS) as running,
    ):
        yield running


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is a file: it is never away alone")
async def test_database_lost_for_a_while(reader: Reader, own_session: int) -> None:
    """feed-50: its sessions are ended and no new one is let in; 4009, no cursor moves, and it recovers by itself"""
    with two_servers(LIVEREFERRALS=SETTINGS | {"FEED_POLL_INTERVAL": 0.2}) as servers:
        async with each_watched(servers, reader) as clients:
            await database_sync_to_async(reader.append)(2)
            await got(clients, 2)
            try:
                await database_sync_to_async(let_in)(False, sparing=own_session)
                for client in clients:
                    error, code = await client.ending()
                    assert error is not None
                    assert (error["code"], error["retry"], code) == ("unavailable", True, 4009)
                for server in servers:
                    async with feed(server, reader.token, cursor=clients[0].position) as refused:
                        assert (await refused.ending())[1] == 4009
            finally:
                await database_sync_to_async(let_in)(True, sparing=own_session)
        await database_sync_to_async(reader.append)(2)
        for server, before in zip(servers, clients, strict=True):
            again = await eventually(partial(resumed, server, reader, before))
            assert again is not None
            assert chain(before) + chain(again) == [1, 2, 3, 4]


async def resumed(server: HostServer, reader: Reader, before: RawFeed) -> RawFeed | None:
    """Return a client that has caught up; nothing while it is still refused, or told once more to come back.

    Each thread that reads for single clients learns that its connection was cut when it next asks.
    """
    async with feed(server, reader.token, cursor=before.position, ack=1) as client:
        if (await client.receive())["type"] != "hello":
            return None
        try:
            await client.until("caught_up")
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != 4009:
                raise
            return None
        return client


@pytest.fixture
def own_session(transactional_db: None) -> int:
    """The session that pytest itself has of the test's database."""
    connection.ensure_connection()
    found: int = connection.connection.info.backend_pid
    return found


def let_in(allowed: bool, *, sparing: int) -> None:
    """Let servers have sessions of the test's database, or end theirs and refuse new ones, those of superusers too."""
    name = connection.settings_dict["NAME"]
    connection.close()
    # From another database: one's own cannot be closed.
    with psycopg.connect(**connection.get_connection_params() | {"dbname": "postgres"}, autocommit=True) as outside:
        outside.execute(SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(Identifier(name), Literal(allowed)))
        if not allowed:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
            outside.execute(others, [name, sparing])
