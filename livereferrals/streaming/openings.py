"""What a client opens a connection or a poll with, the same for a WebSocket and for HTTP. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.handlers.asgi import ASGIRequest

from livereferrals.streaming.credentials import Headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One request to be let in."""

    path: str
    query: str = field(repr=False)
    """Not shown, because a ticket may be in it."""
    headers: Headers
    scheme: str | None
    """What the server says; a WebSocket need not carry one."""
    peer: str
    """Address of whoever is at the other end of the wire: the client, or the host's own proxy."""
    offered: Sequence[str] = field(default=(), repr=False)
    """Subprotocols of a WebSocket."""


def opening_of_scope(scope: Mapping[str, Any]) -> Opening:
    """Return what an ASGI server says of a connection."""
    return Opening(
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=Headers(scope["headers"]),
        scheme=scope.get("scheme"),
        peer=(scope.get("client") or ("", 0))[0],
        # daphne makes one empty name of an empty header.
        offered=[name for name in scope.get("subprotocols", ()) if name],
    )


def opening_of(request: HttpRequest) -> Opening:
    """Return what Django says of a request, under ASGI or WSGI."""
    if isinstance(request, ASGIRequest):
        return opening_of_scope(request.scope)
    pairs = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in request.headers.items()]
    return Opening(
        path=request.path,
        query=request.META.get("QUERY_STRING", ""),
        headers=Headers(pairs),
        scheme=request.META.get("wsgi.url_scheme"),
        peer=request.META.get("REMOTE_ADDR") or "",
    )
