"""What the pieces of a hit cost by themselves: one thread, nothing else running. They say where the time of a hit goes.

Asked for by `--only costs`; each piece is timed in alternating rounds with the others.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from benchmarks.contenders import HOST_PROJECT, prepared
from benchmarks.host import IDENTIFIER
from benchmarks.outcomes import Conditions, Cost, Results
from benchmarks.rounds import alternate

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.templates import Database

BATCHES = (1, 16, 64, 256)
ROUNDS = 5
US = 1_000_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def on_postgres(conditions: Conditions) -> Results:
    """Time the pieces that need no database, and those that ask PostgreSQL."""
    set_up(conditions, "postgres")
    pieces = {**without_database(), **thread_hops(), **with_database("PostgreSQL"), **in_front("PostgreSQL")}
    return Results(costs=timed(pieces, conditions))


def on_sqlite(conditions: Conditions) -> Results:
    """Time the pieces that ask SQLite."""
    set_up(conditions, "sqlite")
    return Results(costs=timed({**with_database("SQLite"), **in_front("SQLite")}, conditions))


MEASURES: dict[str, Callable[[Conditions], Results]] = {"costs": on_postgres, "costs-sqlite": on_sqlite}

Piece = tuple["Callable[[], object]", int, int]
"""What is called, how often in a round, and how many hits one call stands for."""


def set_up(conditions: Conditions, database: Database) -> None:
    """Set Django up as the host project that is measured, on a database of its own."""
    os.environ["BENCH_DATABASE_URL"] = prepared(conditions, HOST_PROJECT, database)
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.host.settings"
    import django

    django.setup()


def timed(pieces: dict[str, Piece], conditions: Conditions) -> list[Cost]:
    """Time each piece, in rounds; one that is awaited runs in one event loop."""
    rounds = alternate(
        {name: partial(_round, *piece) for name, piece in pieces.items()}, rounds=conditions.pick(full=ROUNDS, quick=1)
    )
    return [Cost(path="hit", piece=name, values=[round(one, 2) for one in found]) for name, found in rounds.items()]


def _round(call: Callable[[], object], times: int, stands_for: int) -> float:
    """Return the microseconds of one call, or of one hit of it."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) * US / times / stands_for


# --- pieces ---------------------------------------------------------------------------------------------------------------


def without_database() -> dict[str, Piece]:
    """Return what a hit needs besides its rows: ours, and Django's own beside it."""
    from django.http import HttpResponse
    from django.utils.http import url_has_allowed_host_and_scheme

    from livereferrals import ids
    from livereferrals.front.cookies import CookieLine
    from livereferrals.tracking import screening, targets

    line, visitor = CookieLine(secure=True), uuid.UUID(int=1)

    def by_django() -> None:
        HttpResponse(status=302).set_cookie(
            "livereferrals", visitor.hex, max_age=34_560_000, httponly=True, samesite="Lax"
        )

    return {
        "an id (UUIDv7)": (ids.new_uuid, 20_000, 1),
        "the visitor's cookie, signed and written": (lambda: line.written(visitor), 20_000, 1),
        "Django's response with a cookie, unsigned": (by_django, 5000, 1),
        "is it a bot": (lambda: screening.is_bot(AGENT), 20_000, 1),
        "the query's parameters": (lambda: targets.parameters(b"next=%2Fwelcome&click_id=a1"), 20_000, 1),
        "Django's check of a redirect's target": (lambda: url_has_allowed_host_and_scheme("/welcome", None), 20_000, 1),
        "Python's clock, twice": (lambda: (time.time(), time.monotonic()), 50_000, 1),
    }


def thread_hops() -> dict[str, Piece]:
    """Return what it costs to leave the event loop for a thread: once for a batch, never for a hit."""

    def nothing() -> None:
        return None

    async def warm(times: int) -> None:
        hop: Any = sync_to_async(nothing)
        for _ in range(times):
            await hop()

    def new() -> None:
        from asgiref.sync import ThreadSensitiveContext

        async def one() -> None:
            async with ThreadSensitiveContext():
                await sync_to_async(nothing)()

        async def many() -> None:
            for _ in range(100):
                await one()

        asyncio.run(many())

    return {
        "a hop to a warm thread": (lambda: asyncio.run(warm(1000)), 1, 1000),
        "a hop to the thread of a new request": (new, 1, 100),
    }


def with_database(name: str) -> dict[str, Piece]:
    """Return the rows of a hit as the front writes them, in batches, and as the plain way does; and their numbers."""
    from django.db import connection
    from django.utils import timezone

    from livereferrals.events import sequencer
    from livereferrals.tracking import recording
    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.links import KnownLink
    from livereferrals.tracking.models import ReferralLink
    from livereferrals.tracking.writing import Hits

    links = ReferralLink.objects.select_related("partner", "user")
    link, writer = links.get(identifier=IDENTIFIER), Hits()

    def batch(size: int) -> None:
        draft = HitDraft(KnownLink.of(link), timezone.now(), entry_url="/", user_agent=AGENT, ip="127.0.0.1")
        failed = [one for one in writer.write([draft] * size) if isinstance(one, Exception)]
        if failed:
            raise failed[0]

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def numbered(size: int) -> None:
        batch(size)
        sequencer.number_events()

    pieces: dict[str, Piece] = {
        f"{name}: the emptiest query": (ask, 500, 1),
        f"{name}: the link, by the ORM": (lambda: links.get(identifier=IDENTIFIER), 200, 1),
        f"{name}: one hit by the ORM, committed (plain view)": (
            lambda: recording.record_hit(link, user_agent=AGENT),
            100,
            1,
        ),
    }
    for size in BATCHES:
        label = f"{name}: one hit of {size} in a commit" if size > 1 else f"{name}: one hit, committed by itself"
        pieces[label] = (partial(batch, size), max(4, 256 // size), size)
    for size in (1, 64):
        pieces[f"{name}: the same with its number, {size} at a time"] = (
            partial(numbered, size),
            max(4, 64 // size),
            size,
        )
    return pieces


def in_front(name: str) -> dict[str, Piece]:
    """Return the whole front without a server: from a request's scope to the messages of its answer."""
    from benchmarks.host.asgi import application

    def scope(path: str) -> dict[str, Any]:
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "headers": [(b"host", b"127.0.0.1"), (b"user-agent", AGENT.encode())],
        }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message.get("status", 302) != 302:
            raise RuntimeError(f"The front answered {message}.")

    async def at_once(path: str, times: int) -> None:
        for _ in range(times):
            await asyncio.gather(*(application(scope(path), receive, send) for _ in range(64)))

    runner = asyncio.Runner()

    def call(path: str) -> None:
        runner.run(at_once(path, 20))

    return {
        f"{name}: the front, a link that counts nothing": (partial(call, "/ref/nobodys"), 1, 1280),
        f"{name}: the front, a hit, 64 at a time": (partial(call, f"/ref/{IDENTIFIER}"), 1, 1280),
    }
