"""The ASGI composition: what it answers, what it passes on, what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path

from livereferrals.asgi import referral_application
from tests.streaming.in_process import Connection, websocket_scope
from tests.streaming.test_hub import rename

if TYPE_CHECKING:
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def django_app() -> Any:
    return get_asgi_application()


async def answer(application: Any, target: str, *, method: str = "GET") -> tuple[int, Any]:
    """Return status and JSON body of an HTTP request."""
    url, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": url,
        "root_path": "",
        "query_string": query.encode(),
        "headers": [],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]) or b"null")


async def test_health_is_answered_without_the_database(django_app: Any) -> None:
    """design: `/healthz` says that the process lives"""
    application = referral_application(django_app)
    assert await answer(application, "/healthz") == (200, {"status": "ok"})
    assert await answer(application, "/healthz", method="HEAD") == (200, None)
    assert (await answer(application, "/healthz", method="POST"))[0] == 405


async def test_readiness_asks_the_database(django_app: Any) -> None:
    """design: `/healthz?ready`"""
    application = referral_application(django_app)
    assert await answer(application, "/healthz?ready") == (200, {"status": "ready"})
    await database_sync_to_async(rename)("livereferrals_eventlog", "livereferrals_away")
    try:
        assert (await answer(application, "/healthz?ready"))[0] == 503
    finally:
        await database_sync_to_async(rename)("livereferrals_away", "livereferrals_eventlog")


async def test_other_requests_go_to_django(django_app: Any) -> None:
    """design 8: everything else passes"""
    sent: list[dict[str, Any]] = []
    scope = {"type": "http", "method": "GET", "path": "/page/", "root_path": "", "query_string": b"", "headers": []}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await referral_application(django_app)(scope, never(), send)
    assert sent[0]["status"] == 200


def never() -> Any:
    """Return a `receive` that gives an empty request and then nothing."""
    given: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if given:
            return given.pop()
        return await asyncio.Future()

    return receive


def chat(application: Any) -> Any:
    """Return a host's router with one socket."""
    route: Any = path("chat/", application)
    return URLRouter([route])


async def host_socket(scope: Any, receive: Any, send: Any) -> None:
    """A socket of the host's own, which says where it was reached."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["path"]})
    await send({"type": "websocket.close"})


async def test_sockets_that_are_not_ours_pass_through(django_app: Any, reader: Reader) -> None:
    """design 8: the host's own router keeps its sockets"""
    router = ProtocolTypeRouter({"http": django_app, "websocket": chat(host_socket)})
    application = referral_application(router)
    async with Connection(application, websocket_scope("/chat/")) as own:
        assert await own.text() == "/chat/"
    async with Connection(application, feed_scope(reader)) as ours:
        assert (await ours.until("hello"))["topic"] == f"partner:{reader.partner.uid}"


@pytest.mark.parametrize("routed", [True, False])
async def test_socket_that_nobody_knows_is_refused(django_app: Any, routed: bool) -> None:
    """design 8: before the accept, without a traceback"""
    router = ProtocolTypeRouter({"http": django_app, "websocket": chat(host_socket)})
    application = referral_application(router if routed else django_app)
    for unknown in ("/nothing", "/referrals/feed/v1/ws/more", "/referrals/feed/v1/sse", "/feed/v1/ws"):
        async with Connection(application, websocket_scope(unknown)) as refused:
            assert (await refused.receive())["type"] == "websocket.close"


async def test_error_of_the_hosts_own_socket_is_not_hidden(django_app: Any) -> None:
    """design 8: only a missing route is a refusal"""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        raise ValueError("the host's own")

    router = ProtocolTypeRouter({"websocket": chat(broken)})
    connection = Connection(referral_application(router), websocket_scope("/chat/"))
    with pytest.raises(ValueError, match="the host's own"):
        async with connection:
            await asyncio.wait([connection.task])


def feed_scope(reader: Reader, *, root_path: str = "") -> dict[str, Any]:
    headers = [(b"authorization", f"Bearer {reader.token}".encode())]
    scope = websocket_scope(f"{root_path}/referrals/feed/v1/ws", headers=headers)
    return scope | {"root_path": root_path}


async def test_script_name_is_stripped(django_app: Any, reader: Reader) -> None:
    """design 8: the host may live below a path"""
    application = referral_application(django_app)
    async with Connection(application, feed_scope(reader, root_path="/shop")) as client:
        assert (await client.until("hello"))["resume"] == "live"


async def test_forced_script_name_is_stripped(django_app: Any, reader: Reader, settings: Any) -> None:
    """design 8: also where Django is told of it by a setting"""
    settings.FORCE_SCRIPT_NAME = "/shop"
    scope = feed_scope(reader, root_path="/shop") | {"root_path": ""}
    async with Connection(referral_application(django_app), scope) as client:
        assert (await client.until("hello"))["resume"] == "live"


async def test_route_follows_where_the_host_mounts_it(django_app: Any, reader: Reader, settings: Any) -> None:
    """feed protocol 2: the host may mount the endpoints elsewhere"""
    settings.ROOT_URLCONF = "tests.streaming.elsewhere"
    application = referral_application(django_app)
    moved = feed_scope(reader) | {"path": "/partners/live/feed/v1/ws"}
    async with Connection(application, moved) as client:
        assert (await client.until("hello"))["resume"] == "live"
    async with Connection(application, feed_scope(reader)) as refused:
        assert (await refused.receive())["type"] == "websocket.close"


async def test_host_without_our_urls_has_no_sockets_of_ours(django_app: Any, reader: Reader, settings: Any) -> None:
    """design 8: not mounted, not reachable, no traceback"""
    settings.ROOT_URLCONF = "tests.streaming.nowhere"
    async with Connection(referral_application(django_app), feed_scope(reader)) as refused:
        assert (await refused.receive())["type"] == "websocket.close"


async def test_server_with_lifespan_starts_and_stops_cleanly(django_app: Any) -> None:
    """dashboard pitfall 7: uvicorn asks for it, Django's handler raises at it"""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    incoming.put_nowait({"type": "lifespan.startup"})
    incoming.put_nowait({"type": "lifespan.shutdown"})
    await referral_application(django_app)({"type": "lifespan"}, incoming.get, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_hosts_own_lifespan_is_its_own(django_app: Any) -> None:
    """design 8: a host that has one keeps it"""
    seen: list[str] = []

    async def lifespan(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    application = referral_application(ProtocolTypeRouter({"http": django_app, "lifespan": lifespan}))
    await application({"type": "lifespan"}, never(), never())
    assert seen == ["lifespan"]


def test_composition_is_imported_before_django_is_set_up() -> None:
    """design 6.16"""
    code = "import livereferrals.asgi, sys; assert 'livereferrals.events.models' not in sys.modules"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)  # noqa: S603 - our own code
