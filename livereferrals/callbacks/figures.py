"""How endpoints are doing: success rate, times, backlog and its age, from bounded readings (callbacks, section 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, router
from django.db.models import Count, OuterRef, Subquery
from django.db.models.expressions import RawSQL

from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryKind, DeliveryState, Endpoint
from livereferrals.callbacks.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

SPAN: Final = timedelta(hours=24)
SAMPLE: Final = 100
"""Newest deliveries of an endpoint whose attempts the rate and the times are taken of."""
COUNTED: Final = 1000
"""What waits is counted to here and no further: a count to the end grows with the backlog."""
COUNTED_ENDED: Final = 5_000
"""The newest ended deliveries, of all endpoints together, among which an endpoint's are counted."""
HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)
_ANY: Final = -1
"""Stands for a subscription's key in a statement that is made once and asked for many."""
NOT_ITS_OWN: Final = (Outcome.LOST, Outcome.CANCELLED, Outcome.UNRENDERABLE)
"""Attempts that say nothing of the partner's server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The numbers of one endpoint."""

    waiting: int = 0
    """At most `COUNTED + 1`, which means more than `COUNTED`."""
    oldest_due: datetime | None = None
    """When the first of them was, or will be, due."""
    sending: int = 0
    delivered: int = 0
    """In the last hour."""
    dead: int = 0
    """Given up in the last seven days."""
    is_cut: bool = False
    """More have ended than were counted: these two numbers are the least that there are."""
    attempts: int = 0
    """Of the last 24 hours, of the newest `SAMPLE` deliveries: what rate and times are taken of."""
    rate: float | None = None
    """Part of them that succeeded."""
    p50_ms: int | None = None
    p95_ms: int | None = None

    @property
    def is_much(self) -> bool:
        """Whether more wait than were counted."""
        return self.waiting > COUNTED

    def overdue(self, now: datetime) -> timedelta:
        """Return how long the first one has been due; nothing where it is not yet."""
        return max(timedelta(0), now - self.oldest_due) if self.oldest_due is not None else timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How many deliveries of each endpoint ended in one way."""

    counts: dict[int, int]
    is_cut: bool


def of_subscriptions(pks: Collection[int], *, now: datetime) -> dict[int, Figures]:
    """Return the figures of these endpoints: six queries, however many they are, and none that grows with the tables."""
    if not pks:
        return {}
    delivered = _ended(pks, DeliveryState.DELIVERED, since=now - HOUR)
    dead = _ended(pks, DeliveryState.DEAD, since=now - WEEK)
    waiting, oldest, sending, attempts = _waiting(pks), _oldest(pks), _sending(pks), _attempts(pks, now=now)
    return {
        pk: _with_times(
            attempts.get(pk, []),
            waiting=waiting.get(pk, 0),
            oldest_due=oldest.get(pk),
            sending=sending.get(pk, 0),
            delivered=delivered.counts.get(pk, 0),
            dead=dead.counts.get(pk, 0),
            is_cut=delivered.is_cut or dead.is_cut,
        )
        for pk in pks
    }


def _ended(pks: Collection[int], state: DeliveryState, *, since: datetime) -> _Ended:
    newest = Delivery.objects.filter(state=state, finished_at__gte=since).order_by("-finished_at")
    rows = newest.values_list("subscription_id", "kind")[:COUNTED_ENDED]
    sql, parameters = _sql_of(rows)
    text = f"SELECT subscription_id, kind, COUNT(*) FROM ({sql}) AS ended GROUP BY subscription_id, kind"  # noqa: S608 - Django's own SQL
    found = _fetched(text, parameters)
    counts: dict[int, int] = {}
    for pk, kind, count in found:
        if pk in pks and kind != DeliveryKind.TEST:
            counts[pk] = counts.get(pk, 0) + count
    return _Ended(counts=counts, is_cut=sum(count for *_key, count in found) >= COUNTED_ENDED)


def _waiting(pks: Collection[int]) -> dict[int, int]:
    sql, parameters = _together(_due_first(_ANY).values("subscription_id")[: COUNTED + 1], pks)
    text = f"SELECT subscription_id, COUNT(*) FROM ({sql}) AS waiting GROUP BY subscription_id"  # noqa: S608 - Django's own SQL
    return dict(_fetched(text, parameters))


def _oldest(pks: Collection[int]) -> dict[int, datetime]:
    first = _due_first(OuterRef("pk")).values("due_at")[:1]
    return dict(Endpoint.objects.filter(pk__in=pks).annotate(due=Subquery(first)).values_list("pk", "due"))


def _due_first(pk: Any) -> QuerySet[Delivery]:
    return Delivery.objects.filter(subscription=pk, state=DeliveryState.WAITING).order_by("due_at", "id")


def _sending(pks: Collection[int]) -> dict[int, int]:
    rows = Delivery.objects.filter(subscription__in=pks, state=DeliveryState.SENDING)
    return dict(rows.order_by().values_list("subscription_id").annotate(Count("pk")))


def _attempts(pks: Collection[int], *, now: datetime) -> dict[int, list[tuple[str, int | None]]]:
    """Return outcome and time of the newest attempts at each endpoint."""
    newest = Delivery.objects.exclude(kind=DeliveryKind.TEST).order_by("-created_at")
    sql, parameters = _together(newest.filter(subscription=_ANY).values("pk")[:SAMPLE], pks)
    rows = DeliveryAttempt.objects.filter(delivery__in=RawSQL(sql, parameters)).exclude(outcome__in=NOT_ITS_OWN)  # noqa: S611 - Django's own SQL
    found: dict[int, list[tuple[str, int | None]]] = {}
    # The time is compared here: a planner that knows it may read a day of attempts along their index of time.
    for pk, outcome, ms, at in rows.order_by().values_list(
        "delivery__subscription_id", "outcome", "duration_ms", "started_at"
    ):
        if at >= now - SPAN:
            found.setdefault(pk, []).append((outcome, ms))
    return found


def _with_times(attempts: Sequence[tuple[str, int | None]], **numbers: Any) -> Figures:
    times = sorted(ms for _outcome, ms in attempts if ms is not None)
    good = sum(outcome == Outcome.OK for outcome, _ms in attempts)
    return Figures(
        attempts=len(attempts),
        rate=good / len(attempts) if attempts else None,
        p50_ms=percentile(times, 0.50),
        p95_ms=percentile(times, 0.95),
        **numbers,
    )


def _together(rows: QuerySet[Any, Any], pks: Collection[int]) -> tuple[str, tuple[Any, ...]]:
    """Return one statement of many short readings, one for each subscription, each along its own part of an index.

    `rows` are those of the subscription `_ANY`. Django makes no union of parts with a limit for SQLite; and making the same
    statement for each would take several times as long as the database does.
    """
    sql, given = _sql_of(rows)
    parts = (f"SELECT * FROM ({sql}) AS part{number}" for number in range(len(pks)))  # noqa: S608 - Django's own SQL and a number
    parameters = tuple(pk if value == _ANY else value for pk in pks for value in given)
    return " UNION ALL ".join(parts), parameters


def _sql_of(rows: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    sql, parameters = rows.query.get_compiler(_alias()).as_sql()
    return sql, tuple(parameters)


def _fetched(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connections[_alias()].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _alias() -> str:
    return router.db_for_read(Delivery)


def percentile(times: Sequence[int], part: float) -> int | None:
    """Return the value that this part of the sorted ones does not exceed (nearest rank)."""
    return times[max(0, math.ceil(part * len(times)) - 1)] if times else None
