"""A turn: one transaction for everything that ended and everything that starts next (callbacks, section 4)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from livereferrals.callbacks import faults, settling, starting
from livereferrals.callbacks.health import BREAKER
from livereferrals.callbacks.leasing import origin_of, room_of
from livereferrals.callbacks.models import Endpoint
from livereferrals.callbacks.owning import Known
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.callbacks.wanting import LEASE, NONSENSE

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from livereferrals.callbacks.calls import Job
    from livereferrals.callbacks.notices import Notice
    from livereferrals.callbacks.settling import Result

RENEW_BELOW: Final = timedelta(seconds=40)
"""Longer than any attempt: 30 s and the body's 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where an endpoint stands after a turn."""

    may_send: bool
    """Active, not gated, not archived, its partner active."""
    may_test: bool = True
    """A test may be sent: on hold or not, but not archived, and no pause was asked for."""
    is_failing: bool = False
    """Its last call has failed."""
    room: int
    """Requests at the same time."""
    origin: str
    """What `PER_ORIGIN` counts."""
    gate_until: datetime | None
    until: float
    """Monotonic time at which the lease is over."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """What a turn did."""

    jobs: list[Job] = field(default_factory=list)
    """Started: `sending` in the table, to be sent now."""
    considered: set[uuid.UUID] = field(default_factory=set)
    """Of the wished starts, those that there was room for; what of them is no job was not to be started."""
    notices: list[Notice] = field(default_factory=list)
    """For the host's signals, after the commit."""
    stands: dict[int, Stand] = field(default_factory=dict)
    """By endpoint, for those that are still ours."""
    gone: set[int] = field(default_factory=set)
    """Endpoints whose lease another worker has."""
    busy: set[int] = field(default_factory=set)
    """Endpoints whose row somebody has locked: their results and starts have to wait."""
    next_due: list[datetime] = field(default_factory=list)
    """When retries of this turn are due."""
    now: datetime | None = None
    """The database's time of this turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a worker wants of a turn."""

    tokens: Mapping[int, uuid.UUID]
    """The endpoints that it touches, with their lease."""
    results: Iterable[Result] = ()
    starts: Mapping[int, list[uuid.UUID]] = field(default_factory=dict)
    tests: Collection[uuid.UUID] = ()
    """Which of the starts are tests."""
    in_flight: Mapping[int, int] = field(default_factory=dict)
    """Requests of each endpoint that go on."""
    keeps: Collection[int] = ()
    """Endpoints whose lease is renewed when less than 40 s of it are left."""


def turn(wish: Wish, *, known: Known | None = None) -> Turn:
    """Write results, start deliveries, renew leases: one transaction, every write fenced by the lease's token.

    `known`: the endpoints as the turns before have seen them.
    """
    known = known or Known()
    try:
        return _turn(wish, known)
    except BaseException:
        known.forget()
        raise


def _turn(wish: Wish, known: Known) -> Turn:
    done = Turn()
    with short_transaction(alias(), travels_together=True):
        begun = time.monotonic()
        owned, now = _lock(wish.tokens, done, known)
        results = [result for result in wish.results if result.job.endpoint not in done.busy]
        _settle(results, owned, done, now=now)
        _renew({key: endpoint for key, endpoint in owned.items() if key in wish.keeps}, now=now)
        done.stands = {key: _stand(endpoint, begun=begun, now=now) for key, endpoint in owned.items()}
        chosen = starting.choose(wish, stands=done.stands)
        done.considered = set(chosen)
        done.jobs = starting.start(chosen, owned=owned, now=now)
        if done.jobs:
            faults.reach(faults.Point.STARTING)
    return done


def _lock(tokens: Mapping[int, uuid.UUID], done: Turn, known: Known) -> tuple[dict[int, Endpoint], datetime]:
    """Lock the endpoints that are still ours; tell the lost ones from those that somebody else has locked just now."""
    owned, done.now = found = known.lock(tokens)
    missing = tokens.keys() - owned.keys()
    if missing:
        held = dict(Endpoint.objects.using(alias()).filter(pk__in=missing).values_list("pk", "lease_token"))
        done.busy = {key for key in missing if held.get(key) == tokens[key]}
        done.gone = set(missing) - done.busy
    return found


def _renew(endpoints: Mapping[int, Endpoint], *, now: datetime) -> None:
    for key, endpoint in endpoints.items():
        # One that ends too late was set before the clock jumped back: others would take it for nonsense.
        if endpoint.lease_until is not None and not now + RENEW_BELOW <= endpoint.lease_until <= now + NONSENSE:
            endpoint.lease_until = now + LEASE
            Endpoint.objects.using(alias()).filter(pk=key, lease_token=endpoint.lease_token).update(
                lease_until=endpoint.lease_until
            )


def _settle(results: list[Result], owned: dict[int, Endpoint], done: Turn, *, now: datetime) -> None:
    if not results:
        return
    settled = settling.settle(results, owned=owned, now=now)
    done.notices = settled.notices
    done.next_due = settled.next_due


def _stand(endpoint: Endpoint, *, begun: float, now: datetime) -> Stand:
    subscription = endpoint.subscription
    health = settling.health_of(endpoint)
    left = (endpoint.lease_until or now) - now
    is_callable = subscription.archived_at is None and bool(subscription.callback_url)
    is_gated = health.is_gated(now)
    return Stand(
        may_send=is_callable and endpoint.state == "active" and not is_gated and subscription.partner.active,
        may_test=is_callable and (not is_gated or health.gate_reason == BREAKER),
        is_failing=health.consecutive_failures > 0,
        room=room_of(failures=health.consecutive_failures, max_in_flight=subscription.max_in_flight),
        origin=origin_of(subscription.callback_url),
        gate_until=endpoint.gate_until,
        until=begun + left.total_seconds(),
    )
