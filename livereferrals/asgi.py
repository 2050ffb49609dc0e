"""The ASGI composition: the host's application, links before it, our WebSocket routes, health answers, the embedded worker.

    # asgi.py
    application = referral_application(get_asgi_application())

Importable before Django is set up, as a host's `asgi.py` imports it at its top: whatever needs the app registry is
imported at the first use.
"""

from __future__ import annotations

import contextlib
import json
import logging
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import django.db
from channels.routing import ProtocolTypeRouter
from django.apps import apps
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.urls import get_script_prefix as current_script_prefix

from livereferrals import routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from livereferrals.streaming.draining import Drain

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[Any], Awaitable[None]]
    # Loose on purpose: Django, Channels and the servers each name the types of scope and messages in their own way.
    ASGIApplication = Callable[..., Awaitable[None]]

logger = logging.getLogger(__name__)

__all__ = ["referral_application"]

HEALTH_PATH = "/healthz"
_is_idle = False
MOUNT_NAME = "livereferrals_dashboard:overview"
"""The URL name whose path is where the host mounted `livereferrals.dashboard.urls`; the sockets lie beside it."""


def referral_application(django_app: ASGIApplication, *, fast_links: bool = True) -> ASGIApplication:
    """Return the host's application with referrals around it.

    It answers links and `/healthz`, serves the feed's and the dashboard's sockets below the path where
    `livereferrals.dashboard.urls` is mounted, and passes everything else on. It starts the embedded worker where
    `LIVEREFERRALS["CALLBACKS"]["WORKER"]` asks for it, because daphne runs no ASGI lifespan.

    Args:
        django_app: what `get_asgi_application()` gave, or the host's own `ProtocolTypeRouter`. Sockets that are not
            ours pass through to the latter; a path that nobody knows is refused without a traceback.
        fast_links: answer links before Django's request stack, where the application for HTTP is Django's own and what
            the request says can be judged without it. The setting `FAST_LINKS` turns it off too.
    """
    application = ReferralApplication(django_app, fast_links=fast_links)
    if apps.ready:
        application.prepare()
    return application


@contextlib.contextmanager
def idle() -> Iterator[None]:
    """Have applications that are made in the block start nothing beside the requests: a command only looks at them."""
    global _is_idle
    _is_idle = True
    try:
        yield
    finally:
        _is_idle = False


class ReferralApplication:
    """An ASGI application around the host's own."""

    def __init__(self, django_app: ASGIApplication, *, fast_links: bool) -> None:
        self._django_app = django_app
        self._fast_links = fast_links and _is_djangos(django_app)
        self._link_answered: Callable[[Scope, Send], Awaitable[bool]] | None = None
        self._prepared = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if not self._prepared and apps.ready:
            self.prepare()
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan" and not _handles(self._django_app, "lifespan"):
            await _live(receive, send)
        else:
            await self._django_app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a process that is told to end waits for that."""
        drain = _drain()
        drain.enter()
        try:
            if self._link_answered is None or not await self._link_answered(scope, send):
                await self._http(scope, receive, send)
        finally:
            drain.leave()

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _path_info(scope) == HEALTH_PATH:
            await _answer_health(scope, send)
        elif _is_draining() and _is_feed(_path_info(scope)):
            await _turn_away(scope, send)
        else:
            await self._django_app(scope, receive, send)

    def prepare(self) -> None:
        """Start what runs beside the requests, once in a process."""
        from livereferrals import housekeeping
        from livereferrals.callbacks import embedded
        from livereferrals.housekeeping import reporting

        self._prepared = True
        if _is_idle:
            return
        embedded.start()
        housekeeping.start_embedded()
        reporting.start_in_server("asgi")
        if self._fast_links:
            from livereferrals.front import front

            self._link_answered = front.answered

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = _own_socket(_path_info(scope))
        if ours is not None:
            await ours(scope, receive, send)
        elif _handles(self._django_app, "websocket"):
            await _pass_on(self._django_app, scope, receive, send)
        else:
            await _refuse(scope, receive, send)


# --- sockets --------------------------------------------------------------------------------------------------------------


def _own_socket(path_info: str) -> ASGIApplication | None:
    """Return our application at this path; each brings its own authentication.

    Not by Channels' `URLRouter`: every one that a connection goes through keeps a copy of its scope as long as it lives.
    """
    from livereferrals.dashboard.routing import websocket_urlpatterns as live
    from livereferrals.streaming.routing import websocket_urlpatterns as feed

    prefix = _mount_point()
    if prefix is None or not path_info.startswith(prefix):
        return None
    rest = path_info.removeprefix(prefix)
    patterns: list[Any] = [*feed, *live]
    return next((pattern.callback for pattern in patterns if pattern.pattern.match(rest) is not None), None)


def _mount_point() -> str | None:
    """Return the path, without script name, below which our routes lie; nothing where the host has not mounted them."""
    mounted_at = routes.path_of(MOUNT_NAME)
    return None if mounted_at is None else "/" + mounted_at.removeprefix(current_script_prefix())


def _path_info(scope: Scope) -> str:
    """Return the path below the script name, as Django's own handler sees it."""
    found: str = scope["path"]
    prefix = get_script_prefix(scope).rstrip("/")
    return found.removeprefix(prefix) if prefix and found.startswith(f"{prefix}/") else found


def _handles(application: ASGIApplication, kind: str) -> bool:
    """Whether the host's application takes such connections; one that we do not know is asked."""
    if isinstance(application, ProtocolTypeRouter):
        return kind in application.application_mapping
    return not isinstance(application, ASGIHandler)


def _is_djangos(application: ASGIApplication) -> bool:
    """Whether HTTP is Django's alone; in an application that we do not know a link's path may be somebody else's."""
    if isinstance(application, ProtocolTypeRouter):
        return isinstance(application.application_mapping.get("http"), ASGIHandler)
    return isinstance(application, ASGIHandler)


async def _pass_on(application: ASGIApplication, scope: Scope, receive: Receive, send: Send) -> None:
    """Hand a socket to the host's application; refuse it where that has no route for it.

    Channels' routers raise `ValueError` then, and a plain Django handler in a wrapper does too.
    """
    spoken = False

    async def watched(message: dict[str, Any]) -> None:
        nonlocal spoken
        spoken = True
        await send(message)

    try:
        await application(scope, receive, watched)
    except ValueError:
        if spoken:
            raise
        await _refuse(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Close a socket that nobody serves: before the accept, which a client sees as HTTP 403."""
    logger.debug("No WebSocket route for %s.", scope["path"])
    await send({"type": "websocket.close", "code": 1000})


# --- health and life ------------------------------------------------------------------------------------------------------


async def _answer_health(scope: Scope, send: Send) -> None:
    """Answer `/healthz` (the process lives) and `/healthz?ready` (it can do its work)."""
    status, word, headers = await _health(scope)
    await _answer(scope, send, status=status, text=json.dumps({"status": word}), headers=headers)


async def _answer(scope: Scope, send: Send, *, status: int, text: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Send one JSON object as the whole answer."""
    content = text.encode()
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fixed + headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})


async def _health(scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]]:
    if scope["method"] not in {"GET", "HEAD"}:
        return 405, "method not allowed", [(b"allow", b"GET, HEAD")]
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    if "ready" not in asked:
        return 200, "ok", []
    if _is_draining():
        return 503, "draining", [(b"retry-after", b"15")]
    if await _database_answers():
        return 200, "ready", []
    return 503, "database away", [(b"retry-after", b"5")]


def _is_draining() -> bool:
    """Whether this process is parting from its connections and about to end."""
    return _drain().is_on


def _drain() -> Drain:
    return _draining()()


@cache
def _draining() -> Callable[[], Drain]:
    from livereferrals.streaming.draining import get_drain

    return get_drain


def _is_feed(path_info: str) -> bool:
    prefix = _mount_point()
    return prefix is not None and path_info.startswith(f"{prefix}feed/")


async def _turn_away(scope: Scope, send: Send) -> None:
    """Answer a new request of the feed while the process is ending; the host's own pages are served to the last."""
    from livereferrals.streaming import protocol

    problem = _drain().refusal()
    wait = str(ceil(problem.retry_after_s or 0)).encode()
    await _answer(scope, send, status=503, text=protocol.error(problem), headers=[(b"retry-after", wait)])


async def _database_answers() -> bool:
    from livereferrals.events import log
    from livereferrals.streaming import reading

    try:
        await reading.in_pool(log.bounds)
    except django.db.Error:
        logger.warning("Not ready: the database does not answer.", exc_info=True, extra={"action": "health.unready"})
        return False
    return True


async def _live(receive: Receive, send: Send) -> None:
    """Follow the server's life for a host's application that does not (Django's raises at a lifespan scope)."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
