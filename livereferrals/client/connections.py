"""What the three transports have in common: a connection, the session under it, and what a refusal over HTTP means."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

from livereferrals.client.errors import Breach, Dropped
from livereferrals.client.messages import Problem, read

if TYPE_CHECKING:
    from livereferrals.client.address import Credential
    from livereferrals.client.messages import Message

CONNECT_TIMEOUT_S: Final = 10.0
MAX_ERROR_BYTES: Final = 65_536
MAX_MESSAGE_BYTES: Final = 4 * 2**20
"""The server's messages have at most 256 KiB; what is far beyond that is no feed."""
PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals of the 400s that come from a state of the network or the server, not from the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a connection is opened with."""

    session: aiohttp.ClientSession
    address: str
    """Without the transport's name."""
    credential: Credential
    parameters: dict[str, str] = field(default_factory=dict)
    """`cursor` or `since`, filters, `on_gap`."""


class Connection(Protocol):
    """One connection, whatever carries it."""

    backlog: int
    """How many messages may be received before they are handled."""

    async def receive(self) -> Message:
        """Return the next message that is known.

        Raises:
            Dropped: the connection is over.
        """

    def acknowledge(self, cursor: str) -> None:
        """Say that everything up to the cursor is handled."""

    async def reassure(self) -> None:
        """Say that somebody is here, busy with what came before."""

    async def aclose(self) -> None:
        """Close; never takes long."""


class HungUp(aiohttp.ClientError):
    """The server closed or reset the connection before the head of its answer was complete."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Make a request once: aiohttp repeats a GET whose server hangs up, at once and on a new connection too.

    That would double the crowd before a server in trouble, and present a ticket twice that is good for one connection.
    The client's own wait decides when to come back. aiohttp repeats what raises its own two classes, so they are raised
    as another one. A redirect is not followed either: it is shown, so that no token goes where nobody has sent it.
    """
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise HungUp("the server hung up") from error
    if response.status in {301, 302, 303, 307, 308}:
        place = response.headers.get("Location", "").partition("?")[0]
        response.close()
        raise _stop(response.status, f"the server redirects to {place[:200]!r}: use the final address")
    return response


def make_session() -> aiohttp.ClientSession:
    """Return the session of one client. No cookies, no kept-alive connections, and certificates are always checked."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_once,),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
    )


async def refusal(response: aiohttp.ClientResponse) -> Dropped:
    """Return what a status other than 200 means: the error object in the body, or else the status itself."""
    problem = await _problem(response)
    retry_after_s = _retry_after(response.headers.get("Retry-After", ""))
    if problem is not None:
        return Dropped(problem.message, problem=problem, retry_after_s=max(problem.retry_after_s, retry_after_s))
    return of_status(response.status, retry_after_s=retry_after_s)


def of_status(status: int, *, retry_after_s: float = 0) -> Dropped:
    """Return what a bare status means: the 400s stop, for asking again would be answered likewise."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in PASSING:
        return Dropped(f"the server answered {status}", retry_after_s=retry_after_s)
    return _stop(status, f"the server answered {status}; is the address right?")


def not_a_feed(why: str) -> Dropped:
    """Return the end of a connection to something else than a feed."""
    return _final("not_a_feed", why)


def unreachable(error: BaseException) -> Dropped:
    """Return what a failure of the network means; the text never holds the address, which may carry a ticket."""
    system = getattr(error, "os_error", None) or error.__cause__ or error
    text = getattr(system, "strerror", None)
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    return Dropped(str(text or type(error).__name__))


async def _problem(response: aiohttp.ClientResponse) -> Problem | None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            body = await response.content.read(MAX_ERROR_BYTES)
        found = read(json.loads(body))
    except (ValueError, RecursionError, Breach, TimeoutError, aiohttp.ClientError, OSError):
        return None  # Somebody else's error page: then the status alone counts.
    return found if isinstance(found, Problem) else None


def _retry_after(value: str) -> float:
    """Return the seconds of a `Retry-After`; its other form, a date, is not used by feeds."""
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0.0


def _stop(status: int, why: str) -> Dropped:
    return _final(f"http_{status}", why)


def _final(code: str, why: str) -> Dropped:
    problem = Problem(code=code, message=why, close=4500, retry_after_s=0, oldest=None, newest=None)
    return Dropped(why, problem=problem)
