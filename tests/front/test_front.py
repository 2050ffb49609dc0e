"""How the front works: at one pause a hit, and none for what makes no hit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from django.core.handlers.asgi import ASGIHandler

from livereferrals.asgi import referral_application
from livereferrals.front import front
from livereferrals.tracking.group_commit import get_group
from livereferrals.tracking.link_cache import get_links
from livereferrals.tracking.models import ReferralHit
from tests.factories import make_link, make_partner
from tests.front.asking import scope_of
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterator

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.publisher_thread,
    pytest.mark.urls("tests.tracking.urls"),
]

BOT = ((b"host", b"shop.example"), (b"user-agent", b"Googlebot/2.1"))


class Counted:
    """An awaitable that counts the pauses of a coroutine: each thread that it takes is one, as is each thing it waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, bool]) -> None:
        self._coroutine = coroutine
        self.pauses = 0

    def __await__(self) -> Generator[Any, None, bool]:
        steps = self._coroutine.__await__()
        while True:
            try:
                waits_for = next(steps)
            except StopIteration as done:
                return bool(done.value)
            self.pauses += 1
            yield waits_for


@pytest.fixture(autouse=True)
def _links() -> Iterator[None]:
    """Leave nothing in memory and no thread at work."""
    get_links().drop()
    make_link(identifier="abc123", partner=make_partner(uid="moox6esi"))
    yield
    get_group().close()
    get_links().close()
    get_links().drop()


async def pauses(target: str, headers: Any = None) -> tuple[int, bool]:
    """Return how often the front pauses for a request, and whether it answers."""

    async def send(message: Any) -> None:
        """Take it at once, as servers do."""

    counted = Counted(front.answered(scope_of(target) if headers is None else scope_of(target, headers), send))
    answered = await counted
    return counted.pauses, answered


@pytest.mark.parametrize("target", ["/ref/abc123", "/ref/abc123?next=/x", "/x?affiliate_id=moox6esi"])
async def test_hit_on_a_link_that_is_known_takes_no_thread_but_the_groups(target: str) -> None:
    """P-34, X-25: one pause, for the commit"""
    await pauses(target, BOT)
    assert await pauses(target) == (1, True)
    assert await ReferralHit.objects.acount() == 1


async def test_what_makes_no_hit_pauses_for_nothing() -> None:
    """P-31, P-34, L-33: nor do pages that are no links"""
    for target in ("/ref/abc123", "/ref/unknown", "/x?ref=abc123"):
        await pauses(target, BOT)
        assert await pauses(target, BOT) == (0, True)
    assert await pauses("/x?ref=abc123") == (0, True)
    for target in ("/", "/x?a=1", "/static/app.css?ref=abc123"):
        assert await pauses(target) == (0, False)


async def test_client_that_goes_away_does_not_take_its_hit_back() -> None:
    """L-10: the server cancels what waits for the commit"""
    await pauses("/ref/abc123", BOT)
    waiting = asyncio.ensure_future(front.answered(scope_of("/ref/abc123"), _refuse))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await eventually(_one_hit, what="The hit")


async def _refuse(message: Any) -> None:
    raise AssertionError(message)


async def _one_hit() -> bool:
    return await ReferralHit.objects.acount() == 1


async def test_argument_of_the_application_turns_it_off() -> None:
    """L-01: Django answers, with the same redirect"""
    for fast in (False, True):
        started: list[Any] = []

        async def send(message: Any, started: list[Any] = started) -> None:
            started.append(message)

        incoming: asyncio.Queue[Any] = asyncio.Queue()
        await incoming.put({"type": "http.request", "body": b""})
        await referral_application(ASGIHandler(), fast_links=fast)(scope_of("/ref/abc123"), incoming.get, send)
        assert (started[0]["status"], len(started)) == (302, 2)
        assert (incoming.qsize() == 1) is fast


async def test_application_that_is_not_djangos_alone_keeps_its_paths() -> None:
    """L-01: a link's path in it may be somebody else's"""
    asked: list[str] = []

    async def routes(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])

    await referral_application(routes)(scope_of("/ref/abc123"), None, _refuse)
    assert asked == ["/ref/abc123"]
