"""Leases: which worker serves an endpoint (callbacks, section 4).

What is leased is the endpoint, so that one worker at a time owns its order, its gate and its number of requests.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.db.models import F, Q

from livereferrals.callbacks import clock, faults, losses, processes
from livereferrals.callbacks.models import Delivery, DeliveryState, Endpoint
from livereferrals.callbacks.models.subscriptions import never
from livereferrals.callbacks.reading import NOBODY
from livereferrals.callbacks.schedule import BREAKER_AFTER
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.callbacks.wanting import LEASE, NONSENSE, may_be_served, may_be_tested, wanting
from livereferrals.events import bulk
from livereferrals.events.compiled import Compiled, adapted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.callbacks.notices import Notice

AT_ONCE: Final = 32
GONE: Final = "gone worker"
"""With a number after it the mark of a worker that is no more; none has such a name."""


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
class Leased:
    """What one round of leasing gave."""

    leases: list[Lease]
    notices: list[Notice]
    """Deliveries condemned as poison while taking back."""


NOTHING: Final = Leased(leases=[], notices=[])


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is looked for, and when."""

    now: datetime
    gone: tuple[str, ...]
    """Workers of this machine that are no more."""
    steady: bool
    """Whether the clock is trusted."""
    only: int | None

    @property
    def kind(self) -> tuple[int, bool, bool]:
        """What of it changes the query, and not only its parameters."""
        return len(self.gone), self.steady, self.only is not None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the query."""
        now, nonsense = (adapted(moment, using=alias()) for moment in (self.now, self.now + NONSENSE))
        names = {f"{GONE} {place}": name for place, name in enumerate(self.gone)}
        return {"now": now, "nonsense": nonsense, "only": self.only} | names


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An endpoint that wants a worker, locked."""

    endpoint: int
    failures: int
    callback_url: str
    max_in_flight: int
    is_open: bool
    may_test: bool


def lease(
    *,
    worker: str,
    limit: int,
    failing: int | None = None,
    only: int | None = None,
    watch: clock.Watch | None = None,
    looks_for_gone: bool = True,
) -> Leased:
    """Take up to `limit` endpoints that have something due, longest unserved first, for 60 s.

    `failing`: how many of them may be such whose last call failed; `only`: no other endpoint than this one; `watch`: who
    notices when the clock jumps; `looks_for_gone`: whether workers of this machine that are no more are looked for. One query
    tells who those are, on SQLite another one whether there is anything; then one short transaction, in which rows that an
    earlier lease left `sending` are taken back.
    """
    limit = min(limit, AT_ONCE)
    if limit <= 0:
        return NOTHING
    begun = time.monotonic()
    gone = _gone_workers() if looks_for_gone else ()
    if not _is_worth_a_lock(gone, watch=watch, only=only):
        return NOTHING
    with short_transaction(alias(), travels_together=True) as arrive:
        # To begin may have taken long, and others lease and renew meanwhile: by an older time theirs would look like nonsense.
        look = _look(gone, watch=watch, only=only)
        rows = _picked(look, limit=limit, failing=limit if failing is None else failing)
        if not rows:
            return NOTHING
        token = uuid.uuid4()
        keys = [row.endpoint for row in rows]
        bulk.update(
            Endpoint,
            ("lease_token", "lease_until", "leased_by", "last_leased_at"),
            [(key, token, look.now + LEASE, worker, look.now) for key in keys],
            keys=("subscription_id",),
            using=alias(),
        )
        is_any_left = losses.is_any_left(alias(), endpoints=keys)
        arrive()
        notices = losses.take_back(alias(), endpoints=keys, now=look.now) if is_any_left else []
        faults.reach(faults.Point.LEASING)
    until = begun + LEASE.total_seconds()
    leases = [
        Lease(
            endpoint=row.endpoint,
            token=token,
            until=until,
            is_open=row.is_open,
            may_test=row.may_test,
            is_failing=row.failures > 0,
            origin=origin_of(row.callback_url),
            room=room_of(failures=row.failures, max_in_flight=row.max_in_flight),
        )
        for row in rows
    ]
    return Leased(leases=leases, notices=notices)


def _look(gone: tuple[str, ...], *, watch: clock.Watch | None, only: int | None) -> Look:
    now = clock.now(alias())
    return Look(now=now, gone=gone, steady=watch is None or watch.is_steady(now), only=only)


def _is_worth_a_lock(gone: tuple[str, ...], *, watch: clock.Watch | None, only: int | None) -> bool:
    """Whether there seems to be something to take. On SQLite one query: a transaction there stops all other writers."""
    if connections[alias()].vendor == "postgresql":
        return True
    look = _look(gone, watch=watch, only=only)
    return bool(_asked(_finding(alias(), look.kind, limit=1), look))


def _picked(look: Look, *, limit: int, failing: int) -> list[Candidate]:
    """Lock and return the endpoints to take; those beyond what may be failing make room for healthy ones behind them."""
    found = _asked(_finding(alias(), look.kind, limit=limit), look)
    bad = [row for row in found if row.failures]
    if len(bad) <= failing:
        return found
    left_out = {row.endpoint for row in bad[max(0, failing) :]}
    found = [row for row in found if row.endpoint not in left_out]
    healthy = _candidates(look.kind).filter(consecutive_failures=0).exclude(pk__in=[row.endpoint for row in found])
    return found + _asked(_compiled(healthy[: limit - len(found)], look.kind, using=alias()), look)


def _asked(statement: Compiled, look: Look) -> list[Candidate]:
    with connections[alias()].cursor() as cursor:
        cursor.execute(statement.sql, statement.parameters(**look.parameters))
        rows = [dict(zip(statement.columns, row, strict=True)) for row in cursor.fetchall()]
    return [
        Candidate(
            endpoint=row["subscription_id"],
            failures=row["consecutive_failures"],
            callback_url=row["callback_url"],
            max_in_flight=row["max_in_flight"],
            # Numbers on SQLite.
            is_open=bool(row["is_open"]),
            may_test=bool(row["may_test"]),
        )
        for row in rows
    ]


@lru_cache(maxsize=128)
def _finding(using: str, kind: tuple[int, bool, bool], *, limit: int) -> Compiled:
    """Return the query of so many endpoints, made once."""
    return _compiled(_candidates(kind)[:limit], kind, using=using)


def _candidates(kind: tuple[int, bool, bool]) -> QuerySet[Endpoint]:
    """Return the query of the endpoints to take, with marks where a look has its values; longest unserved first."""
    number, steady, is_one = kind
    now = never()
    gone = [f"{GONE} {place}" for place in range(number)]
    return (
        wanting(now, gone=gone, only=NOBODY if is_one else None, steady=steady)
        .select_related("subscription")
        .only("consecutive_failures", "subscription__callback_url", "subscription__max_in_flight")
        .annotate(is_open=Q(may_be_served(now)), may_test=Q(may_be_tested(now)))
        .order_by("last_leased_at")
        .select_for_update(skip_locked=True, of=("self",))
    )


def _compiled(query: QuerySet[Endpoint], kind: tuple[int, bool, bool], *, using: str) -> Compiled:
    number, steady, is_one = kind
    marks: dict[str, Any] = {f"{GONE} {place}": f"{GONE} {place}" for place in range(number)}
    marks["now"] = adapted(never(), using=using)
    if steady:
        marks["nonsense"] = adapted(never() + NONSENSE, using=using)
    if is_one:
        marks["only"] = NOBODY
    return Compiled(query, using=using, **marks)


def origin_of(callback_url: str) -> str:
    """Return scheme, host and port of the callback URL, as typed: what `PER_ORIGIN` counts."""
    return "/".join(callback_url.split("/")[:3])


def room_of(*, failures: int, max_in_flight: int) -> int:
    """Return how many requests may be under way: one probe while the server fails, else the subscription's number."""
    return 1 if failures >= BREAKER_AFTER else max_in_flight


def _gone_workers() -> tuple[str, ...]:
    """Return the holders of leases that ran on this machine and do not any more. One query."""
    holders = _holders(alias())
    with connections[alias()].cursor() as cursor:
        cursor.execute(holders.sql, holders.parameters())
        names = [name for (name,) in cursor.fetchall()]
    return tuple(sorted(name for name in names if processes.is_gone(name)))


@lru_cache(maxsize=8)
def _holders(using: str) -> Compiled:
    held = Endpoint.objects.using(using).filter(lease_token__isnull=False)
    return Compiled(held.order_by().values_list("leased_by").distinct(), using=using)


def release(leases: Mapping[int, uuid.UUID]) -> None:
    """Give endpoints back at once. One statement."""
    bulk.update(
        Endpoint,
        ("lease_token", "lease_until", "leased_by"),
        [(endpoint, token, None, None, "") for endpoint, token in leases.items()],
        keys=("subscription_id", "lease_token"),
        using=alias(),
    )


def release_unsent(deliveries: Mapping[uuid.UUID, uuid.UUID]) -> None:
    """Put started deliveries back of which no byte was sent, by their lease's token (transition 6)."""
    for delivery, token in deliveries.items():
        Delivery.objects.using(alias()).filter(pk=delivery, state=DeliveryState.SENDING, lease_token=token).update(
            state=DeliveryState.WAITING, lease_token=None, attempts=F("attempts") - 1
        )
