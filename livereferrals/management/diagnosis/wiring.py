"""How the host has put the parts together: URLs, the ASGI application, WebSockets, static files. Tried, not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from asgiref.testing import ApplicationCommunicator
from django.apps import apps
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.utils.module_loading import import_string

from livereferrals import asgi, conf, routes
from livereferrals.checks.serving import application_line
from livereferrals.management.diagnosis.findings import Finding, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

URLS: Final = "URLs"
ASGI: Final = "ASGI"
WEBSOCKET: Final = "WebSocket"
STATIC: Final = "Static files"
BUNDLE: Final = ("livereferrals/app.js", "livereferrals/app.css")
WITHIN_S: Final = 5.0
UNAUTHORIZED: Final = 4501
"""The feed's close code for a connection without a token (feed protocol)."""


def urls() -> Iterator[Finding]:
    """Look where links and dashboard are mounted."""
    for name, arguments, word, line in (
        ("livereferrals:link", ["..."], "Links", 'path("ref/", include("livereferrals.urls"))'),
        (asgi.MOUNT_NAME, [], "Dashboard and feed", 'path("referrals/", include("livereferrals.dashboard.urls"))'),
    ):
        where = routes.path_of(name, *arguments)
        if where is None:
            yield error(URLS, f"{word} have no URL.", advice=f"In urls.py: {line}")
        else:
            yield ok(URLS, f"{word} are at {where}.")


def application() -> Iterator[Finding]:
    """Ask the host's ASGI application what only ours answers: `/healthz`, and the feed's WebSocket."""
    path = str(conf.host("ASGI_APPLICATION", "") or "")
    if not path:
        yield warning(
            ASGI,
            "ASGI_APPLICATION is not set: under WSGI the feed and live pages are polled, and nothing is delivered here.",
            advice=f"In your settings: {application_line()}",
        )
        return
    with asgi.idle():
        try:
            found = import_string(path)
        except ImportError as problem:
            yield error(
                ASGI, f"{path} cannot be imported: {problem}.", advice=f"In your settings: {application_line()}"
            )
            return
        yield from asyncio.run(_tried(found, path))


async def _tried(found: Any, path: str) -> list[Finding]:
    wrap = "In asgi.py: application = referral_application(get_asgi_application())"
    if not await _answers_health(found):
        return [error(ASGI, f"{path} is not wrapped: no live pages, no feed, no deliveries.", advice=wrap)]
    findings = [ok(ASGI, f"{path}, asked in this process, is wrapped and answers {asgi.HEALTH_PATH}.")]
    mounted_at = routes.path_of(asgi.MOUNT_NAME)
    if mounted_at is None:
        return findings
    where = f"{mounted_at}feed/v1/ws"
    if await _knows_socket(found, where):
        return [*findings, ok(WEBSOCKET, f"{where}, asked in this process, answers.")]
    lost = error(WEBSOCKET, f"{where} is not served: no live pages, and no feed over WebSocket.", advice=wrap)
    return [*findings, lost]


async def _answers_health(found: Any) -> bool:
    scope = _scope("http", asgi.HEALTH_PATH) | {"method": "GET"}
    try:
        async with _conversation(found, scope) as talk:
            await talk.send_input({"type": "http.request", "body": b"", "more_body": False})
            start = await talk.receive_output(WITHIN_S)
            body = await talk.receive_output(WITHIN_S)
            return bool(start["status"] == 200 and json.loads(body["body"]) == {"status": "ok"})
    except (TimeoutError, KeyError, ValueError):
        # Somebody else's answer, or none: then it is not ours.
        return False


async def _knows_socket(found: Any, where: str) -> bool:
    """Whether the feed itself turns a client away that shows no token."""
    try:
        async with _conversation(found, _scope("websocket", where) | {"subprotocols": ["livereferrals.v1"]}) as talk:
            await talk.send_input({"type": "websocket.connect"})
            first = await talk.receive_output(WITHIN_S)
            while first["type"] != "websocket.close":
                first = await talk.receive_output(WITHIN_S)
            return bool(first.get("code") == UNAUTHORIZED)
    except (TimeoutError, ValueError):
        return False


@contextlib.asynccontextmanager
async def _conversation(found: Any, scope: dict[str, Any]) -> Any:
    talk: Any = ApplicationCommunicator(found, scope)  # type: ignore[no-untyped-call] # asgiref is not annotated here
    try:
        yield talk
    finally:
        # As a server ends it: the application closes what it has opened. One that never ends is cancelled by `wait`.
        await talk.send_input({"type": f"{scope['type']}.disconnect", "code": 1001})
        with contextlib.suppress(TimeoutError):
            await talk.wait(WITHIN_S)


def _scope(kind: str, path: str) -> dict[str, Any]:
    hosts = [name for name in conf.host("ALLOWED_HOSTS", ()) if not name.startswith((".", "*"))]
    host = hosts[0] if hosts else "localhost"
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "https" if kind == "http" else "wss",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 1),
        "server": (host, 443),
    }


def static_files() -> Iterator[Finding]:
    """Look for the bundle of the dashboard where this project serves static files from."""
    if not apps.is_installed("django.contrib.staticfiles"):
        yield warning(STATIC, "django.contrib.staticfiles is not installed.", advice="Add it to INSTALLED_APPS.")
        return
    lost = [name for name in BUNDLE if finders.find(name) is None]
    if lost:
        yield error(
            STATIC, f"{', '.join(lost)} cannot be found.", advice="Install the package anew; add AppDirectoriesFinder."
        )
    elif not conf.host("DEBUG", default=False) and conf.host("STATIC_ROOT", "") and not _is_collected():
        yield error(
            STATIC, "They have not been collected: the dashboard has no style.", advice="manage.py collectstatic"
        )
    else:
        yield ok(STATIC, f"{' and '.join(BUNDLE)} are there.")


def _is_collected() -> bool:
    try:
        for name in BUNDLE:
            staticfiles_storage.url(name)
    except ValueError:  # a storage with a manifest misses it there
        return False
    return hasattr(staticfiles_storage, "hashed_files") or all(map(staticfiles_storage.exists, BUNDLE))
