"""What is answered: the headers of the link's view and of Django's own middleware, made once, and sent in two messages."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from django.core.handlers.asgi import ASGIRequest
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils.cache import patch_vary_headers

from livereferrals.front import hosting
from livereferrals.front.cookies import CookieLine
from livereferrals.tracking import following

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable

    from django.http import HttpResponse

    Headers = list[tuple[bytes, bytes]]
    Send = Callable[[Any], Awaitable[None]]

REPEATED: Final = {
    f"{each.__module__}.{each.__qualname__}": each
    for each in (SecurityMiddleware, CommonMiddleware, XFrameOptionsMiddleware)
}
"""Django's middleware whose headers an answer of ours has too, where the host has installed them."""


class Answers:
    """The answers to requests over TLS, or to plain ones."""

    def __init__(self, *, secure: bool) -> None:
        self._redirect = _headers(following.redirect("/"), secure=secure)
        self._hit = _headers(_after_looking_for_a_user(following.redirect("/")), secure=secure)
        self._ahead = _headers(following.not_ahead_of_the_click(), secure=secure)
        self._full = _headers(_after_looking_for_a_user(following.come_again()), secure=secure)
        self._cookie = CookieLine(secure=secure)

    async def redirect(self, send: Send, location: bytes) -> None:
        """Lead on without a hit."""
        await _send(send, status=302, headers=[*self._redirect, (b"Location", location)])

    async def followed(self, send: Send, location: bytes, visitor_id: uuid.UUID | None) -> None:
        """Lead on after a hit, with the cookie of the visitor who is to be carried; without one if the hit is lost."""
        headers = [*self._hit, (b"Location", location)]
        if visitor_id is not None:
            headers.append((b"Set-Cookie", self._cookie.written(visitor_id)))
        await _send(send, status=302, headers=headers)

    async def ahead(self, send: Send) -> None:
        """Refuse what a browser asks ahead of the click (L-32)."""
        await _send(send, status=503, headers=[*self._ahead])

    async def come_again(self, send: Send) -> None:
        """Refuse a follow for whose hit there is no room."""
        await _send(send, status=503, headers=[*self._full])


async def _send(send: Send, *, status: int, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _headers(response: HttpResponse, *, secure: bool) -> Headers:
    """Return the response's headers as they would leave Django, but for `Location`.

    There is always a `Content-Length`, which with `CommonMiddleware` Django sends too: without it servers would send
    the empty body in chunks.
    """
    scheme = "https" if secure else "http"
    request = ASGIRequest({"type": "http", "method": "GET", "path": "/", "scheme": scheme}, BytesIO())
    answer: Any = response
    for name in reversed(hosting.middleware()):
        if name in REPEATED:
            answer = REPEATED[name](lambda _request: response).process_response(request, answer)
    answer.headers.setdefault("Content-Length", "0")
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in answer.items() if name != "Location"]


def _after_looking_for_a_user(response: HttpResponse) -> HttpResponse:
    """Return the response as it is where the view has asked who is logged in, which the session's middleware tells."""
    if hosting.has_users():
        patch_vary_headers(response, ("Cookie",))
    return response
