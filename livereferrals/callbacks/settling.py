"""Settling: what a result changes in its delivery and its endpoint, and what the log is told of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from livereferrals import conf
from livereferrals.callbacks import batches, erasing, faults, health, metrics, succeeding, transitions
from livereferrals.callbacks.health import Health
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryKind, DeliveryState, Endpoint
from livereferrals.callbacks.notices import FAILING, Notice, delivery_entry, endpoint_entry
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.transactions import alias
from livereferrals.events import bulk, log

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

    from livereferrals.callbacks.calls import Job
    from livereferrals.callbacks.sender import Reply

SUCCESS_EVERY = timedelta(seconds=1)
"""How exactly `last_success_at` is kept."""
HEALTH = tuple(item.name for item in fields(Health))
NEW_FAILURES = ("", Outcome.LOST, Outcome.CANCELLED)
"""Last outcomes after which a failure is the delivery's first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An attempt that has ended."""

    job: Job
    reply: Reply
    started_at: datetime
    worker: str
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    """The request as people may see it."""


@dataclass(slots=True, kw_only=True)
class Settled:
    """What settling some results gave."""

    notices: list[Notice] = field(default_factory=list)
    next_due: list[datetime] = field(default_factory=list)
    entries: list[log.Entry | None] = field(default_factory=list)
    attempts: list[DeliveryAttempt] = field(default_factory=list)
    current: list[Delivery] = field(default_factory=list)
    """Moved from `sending` under our lease; to be written."""
    late: list[Delivery] = field(default_factory=list)
    """Ended by a success that came late; to be written."""
    touched: set[int] = field(default_factory=set)
    """Endpoints whose health has changed; to be written."""
    well: set[int] = field(default_factory=set)
    """Endpoints whose last result was a success: another one at this moment says nothing new."""


def settle(results: list[Result], *, owned: Mapping[int, Endpoint], now: datetime) -> Settled:
    """Write results in the caller's transaction, which holds the rows of the endpoints that are `owned`.

    A result counts for a row that is `sending` under the lease it was started with. Any other is kept as `late` and
    changes nothing, except that a late success ends a delivery that waits to be repeated. Three statements for all
    successes; for the others one for each kind of outcome, and one insert for the attempts; one for all endpoints whose
    health has changed, and one insert for the events.
    """
    successes = succeeding.write(results, owned=owned, now=now)
    others = [result.job.delivery for place, result in enumerate(results) if place not in successes]
    rows = _locked(others) if others else {}
    settled = Settled()
    for place, result in enumerate(results):
        if place in successes:
            endpoint = owned[result.job.endpoint]
            settled.entries.append(successes[place].entry(endpoint, now=now))
            _tell_endpoint(endpoint, result, settled, now=now)
            continue
        delivery = rows.get(result.job.delivery)
        if delivery is None:
            continue
        if _is_current(delivery, result, owned):
            _write(delivery, result, settled, now=now)
            if delivery.kind != DeliveryKind.TEST:
                _tell_endpoint(owned[result.job.endpoint], result, settled, now=now)
        else:
            _keep_late(delivery, result, settled, now=now)
    _store(settled, owned)
    entries = [entry for entry in settled.entries if entry is not None]
    if entries:
        log.write_all(entries)
    if results:
        faults.reach(faults.Point.SETTLING)
    return settled


def _locked(deliveries: list[uuid.UUID]) -> dict[uuid.UUID, Delivery]:
    rows = Delivery.objects.using(alias()).filter(pk__in=deliveries).select_related("subscription__partner")
    return {row.pk: row for row in rows.select_for_update(of=("self",))}


def _store(settled: Settled, owned: Mapping[int, Endpoint]) -> None:
    """Write what has changed: the rows are locked, and every statement is fenced all the same."""
    tokens = {owned[row.subscription_id].lease_token for row in settled.current}
    sending = Q(state=DeliveryState.SENDING, lease_token__in=tokens)
    batches.store(settled.current, among=sending)
    batches.store(settled.late, among=Q(state=DeliveryState.WAITING))
    touched = [owned[key] for key in settled.touched]
    changed = (*HEALTH, "state_changed_at")
    standing = [(row.pk, row.lease_token, *(getattr(row, name) for name in changed)) for row in touched]
    bulk.update(Endpoint, changed, standing, keys=("subscription_id", "lease_token"), using=alias())
    DeliveryAttempt.objects.using(alias()).bulk_create(settled.attempts)


def _is_current(delivery: Delivery, result: Result, owned: Mapping[int, Endpoint]) -> bool:
    return (
        result.job.endpoint in owned
        and delivery.state == DeliveryState.SENDING
        and delivery.lease_token == result.job.token
    )


def _write(delivery: Delivery, result: Result, settled: Settled, *, now: datetime) -> None:
    reply = result.reply
    tries = delivery.attempts - delivery.schedule_from
    step = transitions.after_result(
        reply.outcome,
        tries=tries,
        pause=reply.pause,
        once=delivery.kind == DeliveryKind.TEST,
        # Random waits only keep partners' servers from bursts.
        given=transitions.Chances(now=now, waits=conf.callbacks.RETRY_SCHEDULE, chance=random.random()),  # noqa: S311
    )
    step = erasing.without_repeat(delivery, step)
    is_first_failure = tries == 1 or delivery.last_outcome in NEW_FAILURES
    _move(delivery, step, reply, now=now)
    settled.current.append(delivery)
    attempt = attempt_of(result)
    erasing.clear_if_erased(delivery, attempt)
    settled.attempts.append(attempt)
    settled.notices.append(Notice(delivery=delivery, attempt=attempt, final=step.state != DeliveryState.WAITING))
    if step.due_at is not None:
        settled.next_due.append(step.due_at)
    if step.state != DeliveryState.WAITING:
        entry = delivery_entry(
            delivery, outcome=delivery.state, reason=delivery.end_reason, status=reply.status, now=now
        )
        settled.entries.append(entry)
    elif is_first_failure:
        entry = delivery_entry(delivery, outcome=FAILING, reason=reply.outcome, status=reply.status, now=now)
        settled.entries.append(entry)


def _move(delivery: Delivery, step: transitions.Step, reply: Reply, *, now: datetime) -> None:
    delivery.state = step.state
    delivery.lease_token = None
    delivery.last_status = reply.status
    delivery.last_outcome = reply.outcome
    delivery.end_reason = step.end_reason or ""
    if step.due_at is not None:
        delivery.due_at = step.due_at
    else:
        delivery.finished_at = now


def _tell_endpoint(endpoint: Endpoint, result: Result, settled: Settled, *, now: datetime) -> None:
    """Bring the endpoint's counters, gate and state up to date; not for a test, which counts for nothing."""
    is_well = result.reply.outcome is Outcome.OK
    if is_well and endpoint.pk in settled.well:
        return
    (settled.well.add if is_well else settled.well.discard)(endpoint.pk)
    before = health_of(endpoint)
    after = health.after(before, result.reply.outcome, pause=result.reply.pause, now=now)
    if after == before or _says_little(before, after):
        return
    for name in HEALTH:
        setattr(endpoint, name, getattr(after, name))
    settled.touched.add(endpoint.pk)
    if after.state != before.state:
        endpoint.state_changed_at = now
        settled.entries.append(
            endpoint_entry(endpoint.subscription, state=after.state, reason=after.state_reason, now=now)
        )


def _says_little(before: Health, after: Health) -> bool:
    """Whether it only is a success again, a moment after another one: that row would be written for each of them."""
    if before.last_success_at is None or after.last_success_at is None:
        return False
    return (
        after.last_success_at - before.last_success_at < SUCCESS_EVERY
        and replace(after, last_success_at=before.last_success_at) == before
    )


def health_of(endpoint: Endpoint) -> Health:
    """Return what the endpoint's row says of its server."""
    return Health(**{name: getattr(endpoint, name) for name in HEALTH})


def _keep_late(delivery: Delivery, result: Result, settled: Settled, *, now: datetime) -> None:
    """Fill in the `lost` row of that attempt; a late success spares the partner the repeat."""
    metrics.late()
    attempt = attempt_of(result, late=True)
    erasing.clear_if_erased(delivery, attempt)
    kept = DeliveryAttempt.objects.using(alias()).filter(delivery=delivery, number=attempt.number)
    outcomes = set(kept.values_list("outcome", flat=True))
    if outcomes - {Outcome.LOST}:
        return  # it was written: the answer to that commit never reached us
    if outcomes:
        known = {item.name for item in DeliveryAttempt._meta.concrete_fields} - {"id"}
        kept.update(**{name: getattr(attempt, name) for name in known})
    else:
        settled.attempts.append(attempt)
    if result.reply.outcome is not Outcome.OK or delivery.state != DeliveryState.WAITING:
        return
    _move(delivery, transitions.Step(state=DeliveryState.DELIVERED), result.reply, now=now)
    settled.late.append(delivery)
    settled.notices.append(Notice(delivery=delivery, attempt=attempt, final=True))
    settled.entries.append(
        delivery_entry(delivery, outcome=DeliveryState.DELIVERED, status=result.reply.status, now=now)
    )


def attempt_of(result: Result, *, late: bool = False) -> DeliveryAttempt:
    """Return the row that keeps an attempt."""
    reply = result.reply
    return DeliveryAttempt(
        delivery_id=result.job.delivery,
        number=result.job.number,
        started_at=result.started_at,
        duration_ms=reply.duration_ms,
        outcome=reply.outcome,
        status=reply.status,
        error=reply.error,
        address=reply.address,
        request_url=result.url,
        request_headers=dict(result.headers),
        request_excerpt=result.body,
        response_headers=reply.headers,
        response_excerpt=reply.excerpt,
        retry_after_s=reply.pause.total_seconds() if reply.pause is not None else None,
        worker=result.worker,
        late=late,
        config_version=result.job.config_version,
    )
