"""How cost grows with size, from small to as large as a developer's machine bears: `--only growth`.

Hits are measured here; fan-out, callbacks and dashboard know best how to grow, and export `growth(conditions)` where
their rows do not tell it already.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from benchmarks import callbacks, fanout, filled
from benchmarks.costs import AGENT, set_up
from benchmarks.outcomes import Conditions, Curve, Results

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable

    from benchmarks.templates import Database
    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.links import KnownLink
    from livereferrals.tracking.writing import Hits

HITS = (1_000, 10_000, 100_000, 1_000_000)
QUICK_HITS = (1_000, 10_000)
PARTNERS = (1_000, 10_000, 100_000)
QUICK_PARTNERS = (1_000, 2_000)
FOLLOWS = (10, 100, 1_000, 10_000)
TIMES = 15
BATCH = 64
NAMES = {"postgres": "PostgreSQL", "sqlite": "SQLite"}


def hits_on_postgres(conditions: Conditions) -> Results:
    """How a hit grows on PostgreSQL."""
    return Results(curves=hits(conditions, "postgres"))


def hits_on_sqlite(conditions: Conditions) -> Results:
    """How a hit grows on SQLite."""
    return Results(curves=hits(conditions, "sqlite"))


def of_fanout(conditions: Conditions) -> Results:
    """How fan-out grows with the watchers."""
    return Results(curves=fanout.growth(conditions))


def of_callbacks(conditions: Conditions) -> Results:
    """How callbacks grow with subscriptions and backlog."""
    return Results(curves=callbacks.growth(conditions))


MEASURES: dict[str, Callable[[Conditions], Results]] = {
    "growth-hits": hits_on_postgres,
    "growth-hits-sqlite": hits_on_sqlite,
    "growth-fan-out": of_fanout,
    "growth-callbacks": of_callbacks,
}


# --- hits -----------------------------------------------------------------------------------------------------------------


def hits(conditions: Conditions, database: Database) -> list[Curve]:
    """Return how the writing of hits grows with what is there already."""
    set_up(conditions, database)
    series: dict[str, list[tuple[float, float]]] = {}
    for size in QUICK_HITS if conditions.quick else HITS:
        fill(conditions, database, size)
        for what, call in acts().items():
            series.setdefault(what, []).append((size, taken_ms(call)))
    curves = [
        Curve(path="hit", what=f"{what}, {NAMES[database]}", size="hits in the database", points=points)
        for what, points in series.items()
    ]
    return [
        *curves,
        of_partners(database, QUICK_PARTNERS if conditions.quick else PARTNERS),
        of_follows(database, FOLLOWS[: conditions.pick(full=len(FOLLOWS), quick=2)]),
    ]


def fill(conditions: Conditions, database: Database, size: int) -> None:
    """Go to a new database that holds so many hits."""
    _go_to(filled.copied(conditions, database, size))


def acts() -> dict[str, Callable[[], object]]:
    """Return what is timed, by its name."""
    from livereferrals.events import sequencer
    from livereferrals.tracking.models import ReferralHit
    from livereferrals.tracking.writing import Hits

    writer, link = Hits(), any_link()
    known = list(ReferralHit.objects.order_by("-created_at").values_list("visitor", flat=True)[:BATCH])

    def new_visitors() -> None:
        write(writer, [draft(link)] * BATCH)

    def same_visitors() -> None:
        write(writer, [draft(link, visitor) for visitor in known])

    def numbered() -> None:
        new_visitors()
        sequencer.number_events()

    return {
        f"{BATCH} hits of new visitors in a commit": new_visitors,
        f"{BATCH} hits of visitors who were here before, in a commit": same_visitors,
        f"{BATCH} hits in a commit, and their numbers": numbered,
    }


def of_partners(database: Database, sizes: tuple[int, ...]) -> Curve:
    """Return how reading a link grows with the partners, each with a link."""
    from django.utils import timezone

    from livereferrals.tracking.links import find_link
    from livereferrals.tracking.models import Partner, ReferralLink

    now = timezone.now()
    points: list[tuple[float, float]] = []
    for size in sizes:
        there = Partner.objects.count()
        made = Partner.objects.bulk_create(
            [Partner(name=f"Grown {number}", active=True) for number in range(there, size)], batch_size=5000
        )
        ReferralLink.objects.bulk_create(
            [
                ReferralLink(identifier=f"grown{there + number}", partner=one, owner="partner")
                for number, one in enumerate(made)
            ],
            batch_size=5000,
        )
        points.append((size, taken_ms(lambda: find_link("grown250", now=now))))
    return Curve(
        path="hit", what=f"reading a link that is not in memory, {NAMES[database]}", size="partners", points=points
    )


def of_follows(database: Database, sizes: tuple[int, ...]) -> Curve:
    """Return how one more follow grows with how often this visitor has followed this link before."""
    from livereferrals.tracking.models import Visitor
    from livereferrals.tracking.writing import Hits

    writer, link, visitor = Hits(), any_link(), Visitor.objects.create().pk
    points: list[tuple[float, float]] = []
    done = 0
    for size in sizes:
        while done < size:
            write(writer, [draft(link, visitor)] * min(500, size - done))
            done += min(500, size - done)
        points.append((size, taken_ms(lambda: write(writer, [draft(link, visitor)]))))
    return Curve(
        path="hit",
        what=f"one more hit of the same visitor, {NAMES[database]}",
        size="its hits of the link before",
        points=points,
    )


def draft(link: KnownLink, visitor: uuid.UUID | None = None) -> HitDraft:
    """Return a hit on the link, as a browser makes it."""
    from django.utils import timezone

    from livereferrals.tracking.drafts import HitDraft

    return HitDraft(link, timezone.now(), visitor, entry_url="/", user_agent=AGENT, ip="127.0.0.1")


def any_link() -> KnownLink:
    """Return one of the links that are there."""
    from livereferrals.tracking.links import KnownLink
    from livereferrals.tracking.models import ReferralLink

    return KnownLink.of(ReferralLink.objects.select_related("partner", "user").order_by("pk")[:1].get())


def write(writer: Hits, drafts: list[HitDraft]) -> None:
    """Write a batch; all of it is written, or the measurement is worthless."""
    for one in writer.write(drafts):
        if isinstance(one, Exception):
            raise one


def taken_ms(call: Callable[[], object]) -> float:
    """Return how long a call takes: the median of many."""
    call()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return round(statistics.median(taken) * 1000, 3)


def _go_to(url: str) -> None:
    """Let Django use another database from here on."""
    import dj_database_url
    from django.db import connection

    connection.close()
    connection.settings_dict["NAME"] = dj_database_url.parse(url)["NAME"]
