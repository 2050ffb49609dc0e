"""Leases: which worker serves an endpoint, and what it finds due there (callbacks, section 4).

What is leased is the endpoint, so that one worker at a time owns its order, its gate and its number of requests.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, router
from django.db.models import F, OuterRef, Q, Subquery

from livereferrals.callbacks import clock, faults, losses, processes
from livereferrals.callbacks.health import BREAKER
from livereferrals.callbacks.models import ENDED, Delivery, DeliveryKind, DeliveryState, Endpoint, EndpointState
from livereferrals.callbacks.models.subscriptions import never
from livereferrals.callbacks.schedule import BREAKER_AFTER
from livereferrals.callbacks.transactions import short_transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.callbacks.models import Subscription
    from livereferrals.callbacks.notices import Notice

LEASE: Final = timedelta(seconds=60)
NONSENSE: Final = LEASE + timedelta(seconds=1)
"""A lease that ends later than this was set by a clock that has jumped back."""
AT_ONCE: Final = 32
READ_AHEAD: Final = 256
NOBODY: Final = -1
"""No endpoint has this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One endpoint that this worker serves."""

    endpoint: int
    token: uuid.UUID
    until: float
    """Monotonic time at which it is over, counted from before the statement that set it."""
    is_open: bool
    """False: it is on hold, and was taken for a test or to take back what a dead worker left."""
    may_test: bool = True
    """Whether a test may be sent, on hold or not."""
    is_failing: bool = False
    """Its last call has failed."""
    origin: str
    """What `PER_ORIGIN` counts."""
    room: int
    """Requests at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A delivery that is due, read ahead."""

    id: uuid.UUID
    lost: int
    is_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """What one round of leasing gave."""

    leases: list[Lease]
    notices: list[Notice]
    """Deliveries condemned as poison while taking back."""


NOTHING: Final = Leased(leases=[], notices=[])


def alias() -> str:
    """Return the database that the worker writes to."""
    return router.db_for_write(Delivery)


def due(now: datetime) -> QuerySet[Delivery]:
    """Return waiting deliveries whose time has come and whose predecessor has ended."""
    waiting = Delivery.objects.using(alias()).filter(state=DeliveryState.WAITING, due_at__lte=now)
    return waiting.filter(Q(after__isnull=True) | Q(after__state__in=ENDED))


def _tests(now: datetime) -> QuerySet[Delivery]:
    """Return waiting tests; they follow nothing."""
    return Delivery.objects.using(alias()).filter(state=DeliveryState.WAITING, kind=DeliveryKind.TEST, due_at__lte=now)


def may_be_served(now: datetime) -> Q:
    """Return the condition on an endpoint whose deliveries are neither held nor behind a gate."""
    return Q(
        Q(gate_until__isnull=True) | Q(gate_until__lte=now),
        ~Q(subscription__callback_url=""),
        state=EndpointState.ACTIVE,
        subscription__archived_at__isnull=True,
        subscription__partner__active=True,
    )


def may_be_tested(now: datetime) -> Q:
    """Return the condition on an endpoint to which a test may be sent: a hold does not matter, a pause asked for does."""
    return Q(
        Q(gate_until__isnull=True) | Q(gate_until__lte=now) | Q(gate_reason=BREAKER),
        ~Q(subscription__callback_url=""),
        subscription__archived_at__isnull=True,
    )


def is_anything_waiting(*, only: int | None = None) -> bool:
    """Whether an endpoint has something due and nobody serves it; `only`: this one. One query."""
    return _wanting(clock.now(alias()), gone=(), only=only).exists()


def lease(
    *, worker: str, limit: int, failing: int | None = None, only: int | None = None, watch: clock.Watch | None = None
) -> Leased:
    """Take up to `limit` endpoints that have something due, longest unserved first, for 60 s.

    `failing`: how many of them may be such whose last call failed; `only`: no other endpoint than this one; `watch`: who
    notices when the clock jumps. One cheap query when there is nothing to do; else one transaction, in which rows that an
    earlier lease left `sending` are taken back first.
    """
    limit = min(limit, AT_ONCE)
    if limit <= 0:
        return NOTHING
    gone = _gone_workers()
    now = clock.now(alias())
    steady = watch is None or watch.is_steady(now)
    if not _wanting(now, gone=gone, only=only, steady=steady).exists():
        return NOTHING
    with short_transaction(alias()):
        begun = time.monotonic()
        now = clock.now(alias())
        wanting = _wanting(now, gone=gone, only=only, steady=steady)
        rows = _picked(wanting, now=now, limit=limit, failing=limit if failing is None else failing)
        if not rows:
            return NOTHING
        token = uuid.uuid4()
        keys = [row.pk for row in rows]
        Endpoint.objects.using(alias()).filter(pk__in=keys).update(
            lease_token=token, lease_until=now + LEASE, leased_by=worker, last_leased_at=now
        )
        notices = losses.take_back(alias(), endpoints=keys, now=now)
        faults.reach(faults.Point.LEASING)
    until = begun + LEASE.total_seconds()
    leases = [
        Lease(
            endpoint=row.pk,
            token=token,
            until=until,
            is_open=row.is_open,
            may_test=row.may_test,
            is_failing=row.consecutive_failures > 0,
            origin=origin_of(row.subscription),
            room=room_of(row),
        )
        for row in rows
    ]
    return Leased(leases=leases, notices=notices)


def _picked(wanting: QuerySet[Endpoint], *, now: datetime, limit: int, failing: int) -> list[Any]:
    """Lock and return the endpoints to take; those beyond what may be failing make room for healthy ones behind them."""
    rows = (
        wanting.select_related("subscription")
        .annotate(is_open=Q(may_be_served(now)), may_test=Q(may_be_tested(now)))
        .order_by("last_leased_at")
        .select_for_update(skip_locked=True, of=("self",))
    )
    found = list(rows[:limit])
    bad = [row for row in found if row.consecutive_failures]
    if len(bad) <= failing:
        return found
    left_out = {row.pk for row in bad[max(0, failing) :]}
    found = [row for row in found if row.pk not in left_out]
    others = rows.filter(consecutive_failures=0).exclude(pk__in=[row.pk for row in found])
    return found + list(others[: limit - len(found)])


def origin_of(subscription: Subscription) -> str:
    """Return scheme, host and port of the callback URL, as typed: what `PER_ORIGIN` counts."""
    return "/".join(subscription.callback_url.split("/")[:3])


def room_of(endpoint: Endpoint) -> int:
    """Return how many requests may be under way: one probe while the server fails, else the subscription's number."""
    return 1 if endpoint.consecutive_failures >= BREAKER_AFTER else endpoint.subscription.max_in_flight


def _wanting(now: datetime, *, gone: Sequence[str], only: int | None = None, steady: bool = True) -> QuerySet[Endpoint]:
    over = Q(leased_by__in=gone)
    if steady:
        over |= Q(lease_until__lte=now) | Q(lease_until__gt=now + NONSENSE)
    # Not EXISTS: where one endpoint has nearly all rows, PostgreSQL reads the whole table for each of the others. In the
    # order of an index, with one row wanted, it takes that index.
    first_due = due(now).filter(subscription=OuterRef("pk")).order_by("due_at", "id").values("pk")[:1]
    has_test = Q(pk__in=_tests(now).values("subscription"))
    abandoned = Q(lease_token__isnull=False) & over
    wanted = (may_be_served(now) & Q(first_due__isnull=False)) | (may_be_tested(now) & has_test)
    found = (
        Endpoint.objects.using(alias())
        .alias(first_due=Subquery(first_due))
        .filter(abandoned | Q(wanted, lease_token__isnull=True))
    )
    return found if only is None else found.filter(pk=only)


def _gone_workers() -> list[str]:
    """Return the holders of leases that ran on this machine and do not any more. One query."""
    holders = Endpoint.objects.using(alias()).filter(
        lease_token__isnull=False, leased_by__startswith=f"{processes.machine()}:"
    )
    names = holders.order_by().values_list("leased_by", flat=True).distinct()
    return [name for name in names if processes.is_gone(name)]


def read(endpoints: Iterable[int]) -> dict[int, list[Ready]]:
    """Return what is due at each endpoint, tests aside, by due time, up to 256 each. One query, no write."""
    keys = list(endpoints)
    if not keys:
        return {}
    found: dict[int, list[Ready]] = {key: [] for key in keys}
    with connections[alias()].cursor() as cursor:
        cursor.execute(*read_query(keys, now=clock.now(alias())))
        rows = cursor.fetchall()
    for delivery, key, lost in rows:
        found[key].append(Ready(id=delivery if isinstance(delivery, uuid.UUID) else uuid.UUID(delivery), lost=lost))
    return found


def read_query(endpoints: Iterable[int], *, now: datetime) -> tuple[str, list[Any]]:
    """Return the query of `read` and its parameters.

    A union of short index scans: a window function would read every backlog whole, LATERAL is not in SQLite.
    """
    sql, parameters, places = _reading(alias())
    moment = _adapted(now)
    parts, given = [], []
    for key in endpoints:
        parts.append(f"SELECT * FROM ({sql}) AS part{key}")  # noqa: S608 - Django's own SQL and a number
        given += [{KEY: key, TIME: moment}.get(place, value) for value, place in zip(parameters, places, strict=True)]
    return " UNION ALL ".join(parts), given


KEY, TIME = "key", "time"


@lru_cache(maxsize=8)
def _reading(using: str) -> tuple[str, list[Any], list[str]]:
    """Return the query of one endpoint, made once, its parameters, and which of them are its key and the time."""
    rows = due(never()).filter(subscription=NOBODY).exclude(kind=DeliveryKind.TEST).order_by("due_at", "id")
    compiler = rows.values_list("id", "subscription_id", "lost")[:READ_AHEAD].query.get_compiler(using)
    sql, parameters = compiler.as_sql()
    kinds = {NOBODY: KEY, _adapted(never()): TIME}
    return sql, list(parameters), [kinds.get(value, "") for value in parameters]


def _adapted(moment: datetime) -> Any:
    return connections[alias()].ops.adapt_datetimefield_value(moment)


def read_tests(endpoints: Iterable[int]) -> dict[int, list[Ready]]:
    """Return the tests that wait at these endpoints: they go before a backlog. One query, of an index of tests only."""
    rows = _tests(clock.now(alias())).filter(subscription__in=list(endpoints)).order_by("id")
    found: dict[int, list[Ready]] = {}
    for key, delivery, lost in rows.values_list("subscription", "id", "lost")[:READ_AHEAD]:
        found.setdefault(key, []).append(Ready(id=delivery, lost=lost, is_test=True))
    return found


def release(leases: Mapping[int, uuid.UUID]) -> None:
    """Give endpoints back at once. One statement for each round of leasing that they come from."""
    by_token: dict[uuid.UUID, list[int]] = {}
    for endpoint, token in leases.items():
        by_token.setdefault(token, []).append(endpoint)
    for token, keys in by_token.items():
        Endpoint.objects.using(alias()).filter(pk__in=keys, lease_token=token).update(
            lease_token=None, lease_until=None, leased_by=""
        )


def release_unsent(deliveries: Mapping[uuid.UUID, uuid.UUID]) -> None:
    """Put started deliveries back of which no byte was sent, by their lease's token (transition 6)."""
    for delivery, token in deliveries.items():
        Delivery.objects.using(alias()).filter(pk=delivery, state=DeliveryState.SENDING, lease_token=token).update(
            state=DeliveryState.WAITING, lease_token=None, attempts=F("attempts") - 1
        )
