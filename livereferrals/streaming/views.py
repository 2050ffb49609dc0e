"""The feed over HTTP: events as they happen, the long poll, and tickets for browsers (feed protocol, 2)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from livereferrals import conf
from livereferrals.exceptions import FeedError
from livereferrals.streaming import answers, credentials, polling, tickets
from livereferrals.streaming.entrance import in_time, open_connection, open_poll, open_ticket_office
from livereferrals.streaming.openings import opening_of
from livereferrals.streaming.parameters import parse_parameters
from livereferrals.streaming.sse import EventStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from django.http import HttpRequest, HttpResponseBase

    from livereferrals.streaming.openings import Opening

    Act = Callable[[Opening], Awaitable[HttpResponseBase]]
    View = Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]

NO_ASGI: Final = "This server runs under WSGI, which cannot wait: poll with wait=0."


def endpoint(method: str, *, waits: Callable[[Opening], bool]) -> Callable[[Act], View]:
    """Make a view of what answers an opening: other methods, browsers' questions and all refusals are answered here.

    It asks for no session, no login and no CSRF token, because a token of the feed is not sent by itself.

    Args:
        method: the one that it takes.
        waits: whether answering may take longer than WSGI can wait.
    """

    def decorate(act: Act) -> View:
        @csrf_exempt
        @login_not_required
        @transaction.non_atomic_requests
        @functools.wraps(act)
        async def view(request: HttpRequest) -> HttpResponseBase:
            opening = opening_of(request)
            response = await _answer(request, opening, method=method, waits=waits, act=act)
            answers.finish(response, origins=opening.headers.all("origin"))
            return response

        return view

    return decorate


async def _answer(
    request: HttpRequest, opening: Opening, *, method: str, waits: Callable[[Opening], bool], act: Act
) -> HttpResponseBase:
    try:
        credentials.check_origin(opening.headers, conf.settings.FEED_ALLOWED_ORIGINS)
        if request.method == "OPTIONS":
            return answers.preflight(method)
        if request.method != method:
            return _wrong_method(method)
        if not isinstance(request, ASGIRequest) and waits(opening):
            return answers.refusal(FeedError("bad_request", NO_ASGI), status=501)
        return await act(opening)
    except FeedError as problem:
        return answers.refusal(problem)


def _wrong_method(method: str) -> HttpResponse:
    response = answers.refusal(FeedError("bad_request", f"Ask with {method}."), status=405)
    response["Allow"] = f"{method}, OPTIONS"
    return response


# --- the three ------------------------------------------------------------------------------------------------------------


@endpoint("GET", waits=lambda _: True)
async def show_stream(opening: Opening) -> HttpResponseBase:
    """Answer with Server-Sent Events."""
    # An empty one is none: a browser sends the header only once it has had a cursor.
    last_event_id = next(filter(None, opening.headers.all("last-event-id")), None)
    admission = await open_connection(opening, last_event_id=last_event_id)
    response = StreamingHttpResponse(EventStream(admission), content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-store, no-transform"
    # nginx must not hold the events back, and no middleware may compress them into blocks.
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"
    response["Feed-Cursor"] = str(admission.start.cursor)
    return response


@endpoint("GET", waits=lambda opening: parse_parameters(opening.query).wait_s > 0)
async def show_poll(opening: Opening) -> HttpResponseBase:
    """Answer with what lies after a cursor."""
    etag = _etag(opening)
    admission = await open_poll(opening, etag=etag)
    page = await polling.page(admission)
    has_moved = etag is None or str(page.cursor) != etag
    response = HttpResponse(page.text(), content_type=answers.JSON) if has_moved else HttpResponseNotModified()
    response["ETag"] = f'"{page.cursor}"'
    response["Vary"] = "Authorization"
    return response


def _etag(opening: Opening) -> str | None:
    """Return the cursor of `If-None-Match`; a proxy that compresses may have made a weak tag of it."""
    given = opening.headers.all("if-none-match")
    if not given:
        return None
    tag = given[0].strip().removeprefix("W/")
    return tag[1:-1] if len(tag) > 1 and tag[0] == tag[-1] == '"' else tag


@endpoint("POST", waits=lambda _: False)
async def make_ticket(opening: Opening) -> HttpResponseBase:
    """Change a token for a ticket."""
    grant = await open_ticket_office(opening)
    return answers.ticket(await in_time(tickets.issue, grant.token))
