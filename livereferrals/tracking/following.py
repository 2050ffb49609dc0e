"""Following a link over HTTP: what the request says, the hit, and the redirect that answers it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError
from django.http import HttpResponse, HttpResponseRedirect
from django.utils.encoding import escape_uri_path

from livereferrals import conf
from livereferrals.tracking import recording, visitors
from livereferrals.tracking.targets import Site

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralLink

logger = logging.getLogger(__name__)

SUBS: Final = ("sub1", "sub2", "sub3", "sub4", "sub5")
OWN_IDS: Final = ("click_id", *SUBS)
"""Parameters beside the link's that are kept on the hit (L-13, P-35)."""


def follow(
    request: HttpRequest, link: ReferralLink, *, target: str, values: Mapping[str, str], now: datetime
) -> HttpResponse:
    """Record the hit and return the redirect to the target, with the visitor's cookie.

    The target is settled before, and the answer is made after the commit: no hit is followed by an error (L-49), no
    answer by a lost hit (L-10). A hit that cannot be written is logged, and its visitor led on without a cookie.
    """
    request.get_host()  # a host that Django rejects is its 400, and no hit
    carried = visitors.carried(request)
    try:
        hit = recording.record_hit(
            link,
            visitor=None if carried is None else carried.id,
            user=visitors.request_person(request),
            now=now,
            entry_url=target,
            user_agent=request.headers.get("User-Agent", ""),
            referer=request.headers.get("Referer", ""),
            ip=request.META.get("REMOTE_ADDR"),
            click_id=values.get("click_id", ""),
            subs=[values.get(name, "") for name in SUBS],
        )
    except DatabaseError:
        # Gone, full, or the link was deleted in between: the visitor shall still get where the link leads (L-26, L-27).
        logger.exception("A hit on %r is lost.", link.identifier, extra={"action": "hit.lost"})
        return redirect(target)
    response = redirect(target)
    if hit.visitor is not None:
        visitors.carry(response, hit.visitor, secure=request.is_secure())
    return response


def redirect(target: str) -> HttpResponse:
    """Return an empty 302 to a settled target, which no cache keeps and no crawler follows on (L-02, L-12)."""
    response = HttpResponseRedirect("/")
    # Set here and not above, where Django refuses what is longer than 16 KiB with an error: after the hit.
    response["Location"] = target
    response["X-Robots-Tag"] = "noindex, nofollow"
    return unkept(response)


def unkept(response: HttpResponse) -> HttpResponse:
    """Return the response, marked so that no cache keeps it: two browsers behind one get two hits."""
    response["Cache-Control"] = "private, no-store"
    return response


def site(request: HttpRequest) -> Site:
    """Return what the target's rules need to know of the request's site."""
    return Site(
        host=request.get_host(),
        secure=request.is_secure(),
        allowed_hosts=conf.settings.ALLOWED_REDIRECT_HOSTS,
        max_length=conf.settings.MAX_NEXT_LENGTH,
    )


def raw_query(request: HttpRequest) -> bytes:
    """Return the query as it came, byte for byte; Django's own keeps it decoded."""
    if isinstance(request, ASGIRequest):
        query: Any = request.scope.get("query_string", b"")
        return query if isinstance(query, bytes) else str(query).encode()
    # PEP 3333: text of bytes, one character each.
    return str(request.META.get("QUERY_STRING", "")).encode("latin-1", "replace")


def escaped_path(request: HttpRequest) -> str:
    """Return the path of the request, script name included, escaped: `%3F` in it is not taken for a query (X-16).

    An ASGI server tells the path as it came; it is used unless a middleware has changed the decoded one.
    """
    if isinstance(request, ASGIRequest):
        raw = (request.scope.get("raw_path") or b"").decode("latin-1")
        if raw and unquote(raw) == request.path:
            return raw
    return escape_uri_path(request.path)
