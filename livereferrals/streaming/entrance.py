"""The way in, the same for every transport: what is wrong is told, credential first, and each "yes" is counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import django.db

from livereferrals import conf
from livereferrals.exceptions import FeedError
from livereferrals.streaming import allowances, credentials, processes, reading, tickets, tokens
from livereferrals.streaming.admission import Asked
from livereferrals.streaming.draining import get_drain
from livereferrals.streaming.gathering import get_gathering
from livereferrals.streaming.parameters import check_url_length
from livereferrals.streaming.places import places
from livereferrals.tracking import privacy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livereferrals.streaming.admission import Admission
    from livereferrals.streaming.allowances import Allowance
    from livereferrals.streaming.credentials import Presented
    from livereferrals.streaming.frames import Stream
    from livereferrals.streaming.hub import Hub
    from livereferrals.streaming.openings import Opening
    from livereferrals.streaming.streams import Watching
    from livereferrals.streaming.tokens import Grant

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

LET_IN_S: Final = 4.0
"""Bound on what stands before `hello`, which is promised within 5 s of the accept."""
RETRY_S: Final = 5.0
POLL_BURST_S: Final = 5
"""A client that reads history page by page may ask for as many pages at once as its rate gives in this time."""


async def open_connection(opening: Opening, *, last_event_id: str | None = None) -> Admission:
    """Let in a reader that stays: its ticket is used up, and it may take a place.

    Raises:
        FeedError: the first thing that is wrong.
    """
    until = _now() + LET_IN_S
    presented = _presented(opening)
    admission = await _admitted(opening, presented, last_event_id=last_event_id)
    limits = conf.settings.FEED_LIMITS
    places.check(admission.grant, admission.elsewhere)
    _spend(
        allowances.connects,
        admission.grant.token,
        rate=limits.connects_minute / 60,
        burst=limits.connects_burst,
        problem="This feed token connects too often.",
    )
    await _use(presented, until=until)
    return replace(admission, until=until)


async def open_poll(opening: Opening, *, etag: str | None) -> Admission:
    """Let in a reader that asks once.

    Raises:
        FeedError: the first thing that is wrong.
    """
    presented = _presented(opening)
    admission = await _admitted(opening, presented, etag=etag)
    rate = conf.settings.FEED_LIMITS.polls_s
    _spend(
        allowances.polls,
        admission.grant.token,
        rate=rate,
        burst=POLL_BURST_S * rate,
        problem=f"This feed token polls more than {rate} times a second.",
    )
    await _use(presented)
    return admission


async def open_ticket_office(opening: Opening) -> Grant:
    """Let in whoever wants a ticket: with a token, for a ticket begets no other.

    Raises:
        FeedError: the first thing that is wrong.
    """
    presented = _presented(opening)
    if presented.token is None or presented.ticket is not None:
        raise FeedError("unauthorized", "Send the header `Authorization: Bearer <feed token>`, and nothing else.")
    grant = await _counted(opening, reading.in_pool(tokens.verify, presented.token))
    per_minute = conf.settings.FEED_LIMITS.tickets_minute
    _spend(
        allowances.tickets,
        grant.token,
        rate=per_minute / 60,
        burst=per_minute,
        problem=f"This feed token asks for more than {per_minute} tickets a minute.",
    )
    return grant


class Attendance:
    """A taken place and a stay with the hub, as one asynchronous context. A class with slots, as `Stay` is."""

    __slots__ = ("_hub", "_place", "_stay")

    def __init__(self, hub: Hub, watcher: Watching, admission: Admission) -> None:
        self._hub = hub
        self._place = places.taken(admission.grant, admission.elsewhere)
        self._stay = hub.watched_by(watcher, head=admission.bounds.head, until=min(admission.until, _now() + LET_IN_S))

    async def __aenter__(self) -> Stream:
        with contextlib.ExitStack() as begun:
            begun.enter_context(self._place)
            processes.report(self._hub)
            stream = await self._stay.__aenter__()
            begun.pop_all()
        return stream

    async def __aexit__(self, *details: object) -> None:
        with contextlib.ExitStack() as ending:
            ending.push(self._place)
            await self._stay.__aexit__(*details)


def watching(hub: Hub, watcher: Watching, admission: Admission) -> Attendance:
    """Take a place for as long as this lasts, have the other processes told, and watch the stream of the reader's wishes.

    Raises:
        FeedError: at its beginning: all places are taken meanwhile, or the log cannot be read just now.
    """
    return Attendance(hub, watcher, admission)


# --- one thing after the other --------------------------------------------------------------------------------------------


def _presented(opening: Opening) -> Presented:
    """Return the credentials, where all that can be seen without the database is right."""
    get_drain().check()
    credentials.check_subprotocol(opening.offered)
    if conf.settings.FEED_REQUIRE_TLS:
        credentials.check_tls(opening.headers, scheme=opening.scheme, proxy_header=conf.proxy_tls_header())
    credentials.check_origin(opening.headers, conf.settings.FEED_ALLOWED_ORIGINS)
    return credentials.presented(opening.headers, query=opening.query, offered=opening.offered)


async def _admitted(
    opening: Opening, presented: Presented, *, last_event_id: str | None = None, etag: str | None = None
) -> Admission:
    asked = Asked(credentials=presented, query=opening.query, last_event_id=last_event_id, etag=etag)
    admission = await _counted(opening, get_gathering().admit(asked))
    # Last, because a cursor of thousands of characters is a bad cursor first.
    check_url_length(opening.path, opening.query)
    return admission


async def _use(presented: Presented, *, until: float | None = None) -> None:
    if presented.ticket is not None:
        await _in_time(reading.in_pool(tickets.use, presented.ticket), until=until)


async def _counted(opening: Opening, look: Awaitable[T]) -> T:
    """Return what a look at the credential gives; one that is wrong counts against its sender's address.

    A good one is never held up: behind one address there may be many who do not know of each other.
    """
    try:
        return await _in_time(look)
    except FeedError as error:
        if error.code != "unauthorized":
            raise
        per_minute = conf.settings.FEED_LIMITS.failures_minute
        _spend(
            allowances.failures,
            _network(opening),
            rate=per_minute / 60,
            burst=per_minute,
            problem="Too many wrong credentials have come from this address.",
        )
        raise


async def in_time(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what asks the database.

    Raises:
        FeedError: `unavailable`, it does not answer.
    """
    return await _in_time(reading.in_pool(act, *args, **kwargs))


async def _in_time(look: Awaitable[T], *, until: float | None = None) -> T:
    """Wait for what asks the database, until a time of the loop's clock, or for as long as letting in may take.

    Raises:
        FeedError: `unavailable`, it does not answer.
    """
    try:
        async with asyncio.timeout_at(_now() + LET_IN_S if until is None else until):
            return await look
    except (TimeoutError, django.db.Error) as error:
        logger.warning("A client could not be let in.", exc_info=error, extra={"action": "feed.unavailable"})
        raise FeedError("unavailable", "The event log cannot be read at the moment.", retry_after_s=RETRY_S) from None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _spend(allowance: Allowance, key: str, *, rate: float, burst: float, problem: str) -> None:
    wait_s = allowance.spend(key, rate=rate, burst=burst, now=time.monotonic())
    if wait_s > 0:
        raise FeedError("rate_limited", problem, retry_after_s=round(wait_s, 1))


def _network(opening: Opening) -> str:
    """Return the sender's address, cut as all addresses are that are kept."""
    forwarded = ",".join(opening.headers.all("x-forwarded-for"))
    address = privacy.client_address(opening.peer, forwarded=forwarded, trusted_proxies=conf.settings.TRUSTED_PROXIES)
    return privacy.kept_address(address, mode="truncate") or ""
