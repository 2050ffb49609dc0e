"""What the feed answers over HTTP beside its events: errors, permissions for browsers, tickets (feed protocol, 3 and 9)."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpResponse

from livereferrals import conf
from livereferrals.events import wire
from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import HttpResponseBase

    from livereferrals.streaming.tickets import Issued

JSON: Final = "application/json"
RETRY_S: Final = 5.0
"""Asked of a client that may come back, where nothing better is known."""
PREFLIGHT_S: Final = 600
ALLOWED_HEADERS: Final = "Authorization, If-None-Match, Last-Event-ID"
EXPOSED_HEADERS: Final = "ETag, Feed-Cursor, Retry-After"


def refusal(problem: FeedError, *, status: int | None = None) -> HttpResponse:
    """Return the answer that carries an `error` object.

    Args:
        problem: what is wrong.
        status: the status, where it is not that of the problem's code.
    """
    ending = protocol.ENDINGS[problem.code]
    # What has no status of its own ends open connections alone; a request that meets it may be made again.
    status = status or ending.http or 503
    if ending.retry and problem.retry_after_s is None:
        problem = FeedError(
            problem.code, problem.message, retry_after_s=RETRY_S, oldest=problem.oldest, newest=problem.newest
        )
    response = HttpResponse(protocol.error(problem), status=status, content_type=JSON)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    if problem.retry_after_s is not None:
        response["Retry-After"] = str(math.ceil(problem.retry_after_s))
    return response


def ticket(issued: Issued) -> HttpResponse:
    """Return the answer to who asked for a ticket."""
    body = json.dumps({"ticket": issued.text, "expires_at": wire.rfc3339(issued.expires_at)})
    return HttpResponse(body, status=201, content_type=JSON)


def preflight(method: str) -> HttpResponse:
    """Return the answer to a browser that asks what it may send."""
    response = HttpResponse(status=204)
    del response["Content-Type"]
    response["Allow"] = f"{method}, OPTIONS"
    response["Access-Control-Allow-Methods"] = f"{method}, OPTIONS"
    response["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
    response["Access-Control-Max-Age"] = str(PREFLIGHT_S)
    return response


def finish(response: HttpResponseBase, *, origins: Iterable[str]) -> None:
    """Set what every answer has: nothing is stored, and pages of the allowed origins may read it.

    Args:
        response: any answer of the feed.
        origins: what the request says of where it comes from.
    """
    if not response.has_header("Cache-Control"):
        response["Cache-Control"] = "no-store"
    response["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    allowed = conf.settings.FEED_ALLOWED_ORIGINS
    if allowed is None:
        response["Access-Control-Allow-Origin"] = "*"
        return
    _add_vary(response, "Origin")
    known = {origin.lower().rstrip("/") for origin in allowed}
    for origin in origins:
        if origin.lower() in known:
            response["Access-Control-Allow-Origin"] = origin


def _add_vary(response: Any, name: str) -> None:
    before = response.get("Vary", "")
    response["Vary"] = f"{before}, {name}" if before else name
