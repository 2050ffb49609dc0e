"""Settling successes, nearly all that a worker has to settle: many in three statements, and no row of Django's for any.

Which is possible because the job says what the row does: a delivery that is `sending` under our lease is as it was when
it was started, but for an erasure. What it writes is what `settling` would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

from livereferrals import signals
from livereferrals.callbacks.erasing import CLEARED
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState
from livereferrals.callbacks.notices import entry_of
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.transactions import alias
from livereferrals.events import bulk

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from livereferrals.callbacks.models import Endpoint
    from livereferrals.callbacks.settling import Result
    from livereferrals.events import log

OUTCOME: Final = ("state", "lease_token", "last_status", "last_outcome", "end_reason", "finished_at")
ATTEMPT: Final = (
    "delivery_id",
    "number",
    "started_at",
    "duration_ms",
    "outcome",
    "status",
    "error",
    "address",
    "request_url",
    "request_headers",
    "request_excerpt",
    "response_headers",
    "response_excerpt",
    "retry_after_s",
    "worker",
    "late",
    "config_version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A success that counts."""

    result: Result
    is_erased: bool
    """The data of its delivery were erased while it was under way."""

    def entry(self, endpoint: Endpoint, *, now: datetime) -> log.Entry:
        """Return what the log is told of it."""
        job = self.result.job
        return entry_of(
            None if self.is_erased else job.payload,
            subscription=endpoint.subscription,
            now=now,
            delivery=str(job.delivery),
            confirmation=str(job.confirmation) if job.confirmation else None,
            outcome=DeliveryState.DELIVERED,
            attempt=job.number,
            status=self.result.reply.status,
        )

    def attempt(self) -> tuple[Any, ...]:
        """Return the row that keeps the attempt, in the order of `ATTEMPT`."""
        job, reply = self.result.job, self.result.reply
        kept = {
            "request_url": self.result.url,
            "request_headers": dict(self.result.headers),
            "request_excerpt": self.result.body,
            "response_headers": reply.headers,
            "response_excerpt": reply.excerpt,
        }
        if self.is_erased:
            kept |= CLEARED
        return (
            job.delivery,
            job.number,
            self.result.started_at,
            reply.duration_ms,
            reply.outcome,
            reply.status,
            reply.error,
            reply.address,
            *kept.values(),
            reply.pause.total_seconds() if reply.pause is not None else None,
            self.result.worker,
            False,
            job.config_version,
        )


def write(results: Iterable[Result], *, owned: Mapping[int, Endpoint], now: datetime) -> dict[int, Success]:
    """Write the successes among these that count, deliveries and attempts; return them by their place.

    In the caller's transaction, which holds the rows of the endpoints that are `owned`. None where a receiver of the
    host's waits for rows of Django's.
    """
    if signals.callback_delivered.has_listeners(Delivery):
        return {}
    places = {
        place: result
        for place, result in enumerate(results)
        if result.reply.outcome is Outcome.OK and not result.job.facts.test and result.job.endpoint in owned
    }
    if not places:
        return {}
    sending = _lock([result.job.delivery for result in places.values()])
    found = {
        place: Success(result=result, is_erased=sending[result.job.delivery, result.job.token])
        for place, result in places.items()
        if (result.job.delivery, result.job.token) in sending
        and owned[result.job.endpoint].lease_token == result.job.token
    }
    ended = [
        (job.delivery, job.token, DeliveryState.DELIVERED, None, reply.status, Outcome.OK, "", now)
        for job, reply in ((success.result.job, success.result.reply) for success in found.values())
    ]
    among = {"state": DeliveryState.SENDING.value}
    bulk.update(Delivery, OUTCOME, ended, keys=("id", "lease_token"), among=among, using=alias())
    bulk.insert(DeliveryAttempt, ATTEMPT, [success.attempt() for success in found.values()], using=alias())
    return found


def _lock(deliveries: list[uuid.UUID]) -> dict[tuple[uuid.UUID, uuid.UUID], bool]:
    """Lock those that are `sending`; return by key and lease whether their data were erased."""
    using = alias()
    reading, sql = _locking(using)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [bulk.keys(deliveries, using=using), DeliveryState.SENDING])
        found = cursor.fetchall()
    keys_of = reading.rows(row[:-1] for row in found)
    return {
        (row["id"], row["lease_token"]): bool(is_erased) for row, (*_, is_erased) in zip(keys_of, found, strict=True)
    }


@lru_cache(maxsize=8)
def _locking(using: str) -> tuple[bulk.Reading, str]:
    """Return how the answer of the statement of `_lock` is read, and the statement."""
    columns = {"id": ("d", Delivery, "id"), "lease_token": ("d", Delivery, "lease_token")}
    reading = bulk.Reading(columns, using=using)
    lock = "FOR UPDATE OF d" if connections[using].vendor == "postgresql" else ""
    sql = f"""
        SELECT {reading.columns}, d.payload IS NULL FROM {Delivery._meta.db_table} d
        WHERE {bulk.one_of("d.id", using=using)} AND d.state = %s {lock}
    """  # noqa: S608 - names of our own
    return reading, sql
