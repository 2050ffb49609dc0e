"""Starting: from `waiting` to `sending`, with everything that the attempt needs, read at this moment."""

from __future__ import annotations

import logging
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F, Q

from livereferrals.callbacks.calls import Job
from livereferrals.callbacks.leasing import alias
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState, Endpoint, SigningSecret
from livereferrals.callbacks.payload import Facts
from livereferrals.events import log
from livereferrals.events.cursors import Cursor
from livereferrals.events.models import Event

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from livereferrals.callbacks.turns import Stand, Wish

logger = logging.getLogger(__name__)

SECRETS_AT_ONCE: Final = 3
USED_EVERY: Final = timedelta(hours=1)
"""How exactly `last_used_at` is kept."""


def choose(wish: Wish, *, stands: Mapping[int, Stand]) -> list[uuid.UUID]:
    """Return which of the wished starts the endpoints allow after this turn's results."""
    chosen: list[uuid.UUID] = []
    for key, deliveries in wish.starts.items():
        if key in stands:
            stand = stands[key]
            free = max(0, stand.room - wish.in_flight.get(key, 0))
            allowed = (one for one in deliveries if (stand.may_test if one in wish.tests else stand.may_send))
            chosen.extend(islice(allowed, free))
    return chosen


def start(chosen: list[uuid.UUID], *, owned: Mapping[int, Endpoint], now: datetime) -> list[Job]:
    """Start these deliveries, as far as they still wait, in this order.

    A delivery whose event has no number yet is not started: the body of its first attempt would lack the cursor.
    """
    if not chosen:
        return []
    rows = list(
        Delivery.objects.using(alias())
        .filter(pk__in=chosen, state=DeliveryState.WAITING, due_at__lte=now)
        .select_related("confirmation__hit")
        .select_for_update(skip_locked=True, of=("self",))
    )
    rows = _with_cursor(rows)
    _mark(rows, owned)
    secrets = _secrets({row.subscription_id for row in rows}, now=now)
    places = {delivery: place for place, delivery in enumerate(chosen)}
    rows.sort(key=lambda row: places[row.pk])
    return [_job_of(row, owned[row.subscription_id], secrets.get(row.subscription_id, ()), now=now) for row in rows]


def _with_cursor(rows: list[Delivery]) -> list[Delivery]:
    """Give first attempts the cursor of their event, and leave out those whose event waits for its number."""
    # What is no object, by somebody's hand, fails when its request is made, and alone.
    objects = [row for row in rows if row.event and row.payload and isinstance(row.payload, dict)]
    lacking = {row.event: row for row in objects if not (row.payload or {}).get("cursor")}
    if not lacking:
        return rows
    # An event that is gone was pruned while the delivery was on hold: without a cursor is better than never.
    numbers = Event.objects.using(alias()).filter(pk__in=list(lacking)).values_list("pk", "seq")
    epoch = log.load_log().epoch
    waiting, numbered = set(), []
    for event, number in numbers:
        row = lacking[event]
        if number is None:
            waiting.add(row.pk)
            continue
        row.payload = {**(row.payload or {}), "cursor": str(Cursor(epoch, number))}
        numbered.append(row)
    Delivery.objects.using(alias()).bulk_update(numbered, ["payload"])
    return [row for row in rows if row.pk not in waiting]


def _mark(rows: Iterable[Delivery], owned: Mapping[int, Endpoint]) -> None:
    """Write `sending`; one statement for each round of leasing that the endpoints come from."""
    by_token: dict[uuid.UUID, list[uuid.UUID]] = {}
    for row in rows:
        token = owned[row.subscription_id].lease_token
        assert token is not None  # noqa: S101 - for the type checker; an owned endpoint has our lease
        by_token.setdefault(token, []).append(row.pk)
        row.attempts += 1
    for token, keys in by_token.items():
        Delivery.objects.using(alias()).filter(pk__in=keys, state=DeliveryState.WAITING).update(
            state=DeliveryState.SENDING, attempts=F("attempts") + 1, lease_token=token
        )


def _secrets(subscriptions: Iterable[int], *, now: datetime) -> dict[int, tuple[str, ...]]:
    """Return the secrets that sign, newest first, and note that they are used."""
    rows = SigningSecret.objects.using(alias()).filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=now), subscription__in=list(subscriptions)
    )
    found: dict[int, tuple[str, ...]] = {}
    stale = []
    for row in rows.order_by("-created_at", "-pk"):
        found[row.subscription_id] = (*found.get(row.subscription_id, ()), row.value)[:SECRETS_AT_ONCE]
        if row.last_used_at is None or row.last_used_at < now - USED_EVERY:
            stale.append(row.pk)
    if stale:
        SigningSecret.objects.using(alias()).filter(pk__in=stale).update(last_used_at=now)
    return found


def _job_of(row: Delivery, endpoint: Endpoint, secrets: tuple[str, ...], *, now: datetime) -> Job:
    """Return the job; one that fails with `error` where the rows are such that none can be made."""
    try:
        return _job(row, endpoint, secrets, now=now)
    except Exception as error:
        # Whatever is wrong with one delivery must not keep all others from starting, again and again.
        logger.exception("Delivery %s cannot be started.", row.pk, extra={"action": "callback.error"})
        token = endpoint.lease_token
        assert token is not None  # noqa: S101 - for the type checker; an owned endpoint has our lease
        return Job(
            delivery=row.pk,
            endpoint=endpoint.pk,
            token=token,
            number=row.attempts,
            lost=row.lost,
            payload=None,
            facts=Facts(delivery=row.pk, attempt=row.attempts),
            method="",
            url="",
            plain_http=False,
            headers=[],
            secrets=(),
            timeout_s=0,
            config_version=endpoint.config_version,
            problem=f"{type(error).__name__}, see the log",
        )


def _job(row: Delivery, endpoint: Endpoint, secrets: tuple[str, ...], *, now: datetime) -> Job:
    subscription = endpoint.subscription
    hit = row.confirmation.hit if row.confirmation is not None else None
    visitor = row.confirmation.visitor_id if row.confirmation is not None else None
    is_reversal_by_get = row.kind == DeliveryKind.REVERSAL and subscription.method == "GET"
    payload: dict[str, Any] | None = row.payload
    token = endpoint.lease_token
    assert token is not None  # noqa: S101 - for the type checker; an owned endpoint has our lease
    return Job(
        delivery=row.pk,
        endpoint=endpoint.pk,
        token=token,
        number=row.attempts,
        lost=row.lost,
        payload=payload,
        facts=Facts(
            delivery=row.pk,
            attempt=row.attempts,
            visitor=visitor,
            hit=hit.pk if hit is not None else None,
            hit_at=hit.created_at if hit is not None else None,
            test=row.kind == DeliveryKind.TEST,
        ),
        method=subscription.method,
        url=subscription.reversal_url if is_reversal_by_get else subscription.callback_url,
        plain_http=subscription.allow_plain_http,
        headers=subscription.headers,
        secrets=secrets,
        timeout_s=subscription.timeout_s,
        config_version=endpoint.config_version,
        waited_s=(now - row.due_at).total_seconds(),
    )
