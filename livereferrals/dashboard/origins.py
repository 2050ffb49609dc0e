"""Which pages may open the live socket: those of the own host alone, because a cookie is sent with any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own(scope: dict[str, Any]) -> bool:
    """Whether the connection comes from a page of the host that it asks for; a missing `Origin` is a no.

    The host is what `HttpRequest.get_host()` makes of it: `ALLOWED_HOSTS` and `USE_X_FORWARDED_HOST` hold. The scheme is
    not compared, because a socket's scope does not tell it behind every server.
    """
    origin = _header(scope["headers"], b"origin")
    if origin is None:
        return False
    request = HttpRequest()
    request.META = _meta(scope)
    try:
        host = request.get_host()
        parts = urlsplit(origin)
        port = parts.port
        own = urlsplit(f"//{host}")
        own_port = own.port
    except (DisallowedHost, ValueError):
        return False
    if parts.scheme not in DEFAULT_PORTS or parts.hostname is None or parts.hostname != own.hostname:
        return False
    default = DEFAULT_PORTS[parts.scheme]
    return (port or default) == (own_port or default)


def _meta(scope: dict[str, Any]) -> dict[str, Any]:
    server = scope.get("server") or ("unknown", 0)
    meta = {"SERVER_NAME": server[0], "SERVER_PORT": str(server[1])}
    for name, key in ((b"host", "HTTP_HOST"), (b"x-forwarded-host", "HTTP_X_FORWARDED_HOST")):
        if (value := _header(scope["headers"], name)) is not None:
            meta[key] = value
    return meta


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)
