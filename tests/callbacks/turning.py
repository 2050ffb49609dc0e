"""Leases and turns by hand, in a test's own transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from livereferrals.callbacks import leasing, turns
from livereferrals.callbacks.models import Delivery, Endpoint
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Reply
from livereferrals.callbacks.settling import Result
from livereferrals.callbacks.turns import Wish
from livereferrals.events import sequencer
from tests.callbacks import running

if TYPE_CHECKING:
    from livereferrals.callbacks.calls import Job
    from livereferrals.callbacks.leasing import Lease
    from livereferrals.callbacks.models import Subscription

OK: Final = Reply(outcome=Outcome.OK, status=200)
FAILED: Final = Reply(outcome=Outcome.SERVER_ERROR, status=500)


def owe(subscription: Subscription) -> Delivery:
    """Owe a delivery and number its event: a test's transaction never commits."""
    delivery = running.owe(subscription)
    sequencer.number_events()
    return delivery


def lease(worker: str = "other-host:1:1") -> list[Lease]:
    return leasing.lease(worker=worker, limit=10).leases


def start(delivery: Delivery) -> tuple[Lease, Job]:
    """Lease the delivery's endpoint and start it."""
    (held,) = lease()
    done = turns.turn(Wish(tokens={held.endpoint: held.token}, starts={held.endpoint: [delivery.pk]}))
    return held, done.jobs[0]


def settle(job: Job, reply: Reply, **wish: Any) -> turns.Turn:
    result = Result(job=job, reply=reply, started_at=timezone.now(), worker="w")
    return turns.turn(Wish(tokens={job.endpoint: job.token}, results=[result], **wish))


def take_over(subscription: Subscription) -> Lease:
    """Let the lease run out and take the endpoint again, as another worker does."""
    Endpoint.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    (held,) = lease("third-host:1:1")
    return held
