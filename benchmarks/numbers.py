"""Measures each number of the dashboard on one database: what `dashboard` runs in processes of their own."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.outcomes import Count
from benchmarks.rounds import alternate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.filling import Filled
    from livereferrals.dashboard.ranges import Range, Span
    from livereferrals.dashboard.sources import By, Whose

ENOUGH_S = 0.3
"""A round of one figure repeats its call for so long."""
ENOUGH_FOR_A_POINT_S = 0.1
"""The same where there is one round only."""
LEAST_CALLS = 3
SLOW_S = 0.5
"""A call that takes longer is not repeated within a round."""
CHECKED = 10_000
"""Up to so many hits the fill is compared with the log, total by total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One number, series or list, page or frame."""

    what: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None = None
    """The query over the hits."""
    goal: float | None = None
    """How many times quicker than it."""
    stretch: float | None = None
    row: str = "P18"
    """Empty: for the record."""
    notes: str = ""


@dataclass(slots=True, kw_only=True)
class Figure:
    """What was measured of one question."""

    what: str
    row: str
    ours: list[float]
    """Milliseconds, a value a round."""
    theirs: list[float]
    goal: float | None
    stretch: float | None
    notes: str


@dataclass(slots=True, kw_only=True)
class Measured:
    """What was measured at one size."""

    hits: int
    figures: list[Figure] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)


def measure(url: str, hits: int, *, rounds: int, compare: bool, only: frozenset[str] = frozenset()) -> Measured:
    """Measure on the filled database at the address.

    Args:
        url: its address.
        hits: what it is filled with.
        rounds: of each figure; a single one takes less time, for a point of a curve.
        compare: whether the queries over hits are measured beside.
        only: what is measured, by its name; empty: everything, and the totals are compared with the hits.
    """
    os.environ["BENCH_DATABASE_URL"] = url
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.host.settings"
    import django

    django.setup()
    from benchmarks.filling import there

    filled, found = there(), Measured(hits=hits)
    for question in (*numbers(filled), *newest(filled), *frames()):
        if not only or question.what in only:
            found.figures.append(_figure(question, rounds=rounds, compare=compare))
    if not only:
        found.counts += [counted(), compared()] if hits <= CHECKED else [counted()]
    return found


def _figure(question: Question, *, rounds: int, compare: bool) -> Figure:
    acts = {"ours": question.ours}
    if compare and question.theirs is not None:
        acts["theirs"] = question.theirs
    enough_s = ENOUGH_S if rounds > 1 else ENOUGH_FOR_A_POINT_S
    values = alternate({name: timed(act, enough_s=enough_s) for name, act in acts.items()}, rounds=rounds, warm_up=acts)
    return Figure(
        what=question.what, row=question.row, goal=question.goal, stretch=question.stretch, notes=question.notes,
        ours=values["ours"], theirs=values.get("theirs", []),
    )  # fmt: skip


def timed(act: Callable[[], object], *, enough_s: float) -> Callable[[], float]:
    """Return what gives the median of repeated calls, in milliseconds."""

    def run() -> float:
        times: list[float] = []
        until = time.perf_counter() + enough_s
        while len(times) < LEAST_CALLS or time.perf_counter() < until:
            began = time.perf_counter()
            act()
            times.append(time.perf_counter() - began)
            if times[-1] > SLOW_S:
                break
        return statistics.median(times) * 1000

    return run


# --- what was filled ------------------------------------------------------------------------------------------------------


def compared() -> Count:
    """Compare what was filled with what the product would have written."""
    from livereferrals.dashboard import rebuilding

    return Count(what="totals of the fill that `rollup --check` finds wrong", found=len(rebuilding.check()), expected=0)


def counted() -> Count:
    """Compare the totals with the hits."""
    from livereferrals.dashboard.models import HourlyTotal
    from livereferrals.tracking.models import ReferralHit

    totals = sum(HourlyTotal.objects.values_list("hits", flat=True))
    return Count(what="hits in the totals, hits in the table", found=totals, expected=ReferralHit.objects.count())


# --- what is asked --------------------------------------------------------------------------------------------------------


def numbers(filled: Filled) -> Iterator[Question]:
    """Give the statistics, each with the query over the hits that it stands for."""
    from django.utils import timezone

    from benchmarks import questions as ask
    from livereferrals.dashboard import ranges
    from livereferrals.dashboard.sources import EVERYBODY, By, Whose
    from livereferrals.dashboard.statistics import Figures
    from livereferrals.events import log

    zone = timezone.get_default_timezone()
    tomorrow = ranges.midnight(ranges.day_of(timezone.now(), zone=zone) + timedelta(days=1), zone=zone)
    hour = ranges.hour_of(timezone.now(), zone=zone) + ranges.HOUR
    ever, quarter, month = (
        ranges.Span(start=tomorrow - timedelta(days=count), end=tomorrow) for count in (366, 90, 30)
    )
    two_days = ranges.Span(start=hour - 48 * ranges.HOUR, end=hour)
    mine, bounds = Whose(partners=frozenset({filled.partner})), log.bounds()
    figures = Figures(bounds)
    figures.numbers(month)  # the place of the rollups and the tail, once for all, as on a page

    def total(what: str, span: Span) -> Question:
        return Question(
            what=f"total, {what}",
            ours=lambda: figures.numbers(span),
            theirs=lambda: ask.total(span),
            goal=100,
            stretch=300,
        )

    def series(
        what: str,
        span: Span,
        *,
        hourly: bool = False,
        whose: Whose = EVERYBODY,
        goal: float = 1,
        stretch: float | None = None,
    ) -> Question:
        partner = filled.partner_pk if whose is mine else None
        return Question(
            what=what,
            ours=lambda: figures.steps(span, zone=zone, hourly=hourly, whose=whose),
            theirs=lambda: ask.series(span, hourly=hourly, partner=partner),
            goal=goal,
            stretch=stretch,
        )

    def first(what: str, span: Span, by: By, *, goal: float, stretch: float | None = None) -> Question:
        return Question(
            what=f"top 20 {by}s, {what}",
            ours=lambda: figures.leaders(span, by=by, count=20),
            theirs=lambda: ask.first(span, by=by),
            goal=goal,
            stretch=stretch,
        )

    yield Question(
        what="the place of the rollups, and the log's", ours=lambda: Figures(log.bounds()).numbers(month), row=""
    )
    yield total("all time", ever)
    yield total("30 days", month)
    yield series("per day, 30 days", month, goal=100, stretch=300)
    yield series("per day, 365 days", ever, goal=100, stretch=300)
    yield series("per hour, 48 hours", two_days, hourly=True)
    yield first("30 days", month, By.PARTNER, goal=1)
    yield first("all time", ever, By.PARTNER, goal=30, stretch=50)
    yield first("all time", ever, By.LINK, goal=30, stretch=50)
    yield series("one partner a day, 90 days", quarter, whose=mine)
    yield series("one partner an hour, 48 hours", two_days, hourly=True, whose=mine)


def newest(filled: Filled) -> Iterator[Question]:
    """Give the last rows of all, of a partner, of a link."""
    from livereferrals.events.models import Event

    rows = Event.objects.filter(seq__isnull=False)
    yield _last("all", rows)
    yield _last("one partner", rows.filter(partner=filled.partner))
    yield _last("one link", rows.filter(link=filled.link))


def _last(whose: str, rows: Any) -> Question:
    from livereferrals.dashboard.activity import newest_lines

    return Question(row="P20", what=f"last 50 rows of {whose}", ours=lambda: newest_lines(rows, count=50))


def frames() -> Iterator[Question]:
    """Give whole frames: everything on a page, read and rendered."""
    from livereferrals.dashboard.ranges import Range

    for name, chosen in (
        ("overview", Range.TODAY), ("overview", Range.MONTH), ("live_feed", Range.TODAY), ("hits", Range.TODAY),
        ("partners", Range.MONTH), ("links", Range.MONTH), ("confirmations", Range.TODAY),
    ):  # fmt: skip
        yield _frame(name, chosen)


def _frame(name: str, chosen: Range) -> Question:
    from livereferrals.dashboard import catalogue, pages
    from livereferrals.dashboard.access import CODENAMES, Rights
    from livereferrals.dashboard.filters import Filters
    from livereferrals.dashboard.viewpoints import Viewpoint

    rights = Rights(amounts=True, codenames=frozenset(CODENAMES))
    viewpoint = Viewpoint(view=name, filters=Filters(range=chosen), rights=rights, language="en", zone="UTC")
    page = catalogue.BY_NAME[name]
    return Question(row="", what=f"frame of {name}, {chosen}", ours=lambda: pages.render_frame(page, viewpoint))
