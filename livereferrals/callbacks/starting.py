"""Starting: from `waiting` to `sending`, with everything that the attempt needs, read at this moment."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.db import connections

from livereferrals.callbacks.calls import Job
from livereferrals.callbacks.models import Delivery, DeliveryKind, DeliveryState, Endpoint, SigningSecret
from livereferrals.callbacks.payload import Facts
from livereferrals.callbacks.transactions import alias
from livereferrals.events import bulk, log
from livereferrals.events.compiled import adapted
from livereferrals.events.cursors import Cursor
from livereferrals.events.models import Event, EventLog
from livereferrals.tracking.models import Confirmation, ReferralHit

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
    """Start these deliveries, as far as they still wait, in this order. Three statements for all of them.

    A delivery whose event has no number yet is not started: the body of its first attempt would lack the cursor.
    """
    if not chosen:
        return []
    rows = _lock(chosen, now=now)
    if not rows:
        return []
    _mark(rows, owned)
    secrets = _secrets({row.subscription for row in rows}, now=now)
    places = {delivery: place for place, delivery in enumerate(chosen)}
    rows.sort(key=lambda row: places[row.id])
    return [_job_of(row, owned[row.subscription], secrets.get(row.subscription, ()), now=now) for row in rows]


@dataclass(slots=True, kw_only=True)
class Row:
    """A waiting delivery with what its request needs."""

    id: uuid.UUID
    subscription: int
    confirmation: uuid.UUID | None
    kind: str
    payload: Any
    """The event object; by somebody's hand it may be anything."""
    due_at: datetime
    attempts: int
    lost: int
    visitor: uuid.UUID | None
    hit: uuid.UUID | None
    hit_at: datetime | None
    event: uuid.UUID | None
    """`None` where the log has forgotten it, and for a test."""
    number: int | None
    """The event's place in the log."""
    epoch: str | None
    problem: str = ""
    """Why the payload cannot be read."""
    cursor: str | None = None
    """What the payload is given at the first start."""

    def read(self) -> None:
        """Take the payload out of its text, and find the cursor that it lacks."""
        try:
            self.payload = json.loads(self.payload) if self.payload is not None else None
        except ValueError as error:
            logger.exception("Delivery %s cannot be read.", self.id, extra={"action": "callback.error"})
            self.problem = f"{type(error).__name__}, see the log"
        if self.number is not None and self.lacks_cursor:
            self.cursor = str(Cursor(self.epoch or log.load_log().epoch, self.number))
            self.payload["cursor"] = self.cursor

    @property
    def lacks_cursor(self) -> bool:
        """Whether its event is there and has not given it a cursor.

        An event that is gone was pruned while the delivery was on hold: without a cursor is better than never.
        """
        # What is no object, by somebody's hand, fails when its request is made, and alone.
        return self.event is not None and isinstance(self.payload, dict) and not self.payload.get("cursor")


def _lock(chosen: list[uuid.UUID], *, now: datetime) -> list[Row]:
    """Lock those that wait and are due, and whose event has its number; what somebody else has locked is left out."""
    using = alias()
    reading, sql = _locking(using)
    connection = connections[using]
    keys = bulk.keys(chosen, using=using)
    with connection.cursor() as cursor:
        cursor.execute(sql, [keys, DeliveryState.WAITING, adapted(now, using=using)])
        rows = [Row(**values) for values in reading.rows(cursor.fetchall())]
    for row in rows:
        row.read()
    return [row for row in rows if not row.lacks_cursor]


@lru_cache(maxsize=8)
def _locking(using: str) -> tuple[bulk.Reading, str]:
    """Return how the answer of the statement of `_lock` is read, and the statement."""
    reading = bulk.Reading(
        {
            "id": ("d", Delivery, "id"),
            "subscription": ("d", Delivery, "subscription_id"),
            "confirmation": ("d", Delivery, "confirmation_id"),
            "kind": ("d", Delivery, "kind"),
            "payload": ("d", Delivery, "payload"),
            "due_at": ("d", Delivery, "due_at"),
            "attempts": ("d", Delivery, "attempts"),
            "lost": ("d", Delivery, "lost"),
            "visitor": ("c", Confirmation, "visitor_id"),
            "hit": ("c", Confirmation, "hit_id"),
            "hit_at": ("h", ReferralHit, "created_at"),
            "event": ("e", Event, "id"),
            "number": ("e", Event, "seq"),
            "epoch": ("l", EventLog, "epoch"),
        },
        using=using,
    )
    delivery, confirmation, hit, event, head = (
        model._meta.db_table for model in (Delivery, Confirmation, ReferralHit, Event, EventLog)
    )
    lock = "FOR UPDATE OF d SKIP LOCKED" if connections[using].vendor == "postgresql" else ""
    sql = f"""
        SELECT {reading.columns} FROM {delivery} d
        LEFT JOIN {confirmation} c ON c.id = d.confirmation_id
        LEFT JOIN {hit} h ON h.id = c.hit_id
        LEFT JOIN {event} e ON e.id = d.event
        LEFT JOIN {head} l ON l.id = {EventLog.SINGLETON}
        WHERE {bulk.one_of("d.id", using=using)} AND d.state = %s AND d.due_at <= %s {lock}
    """  # noqa: S608 - names of our own
    return reading, sql


def _mark(rows: Iterable[Row], owned: Mapping[int, Endpoint]) -> None:
    """Write `sending`, the lease, and into first attempts the cursor of their event. One update."""
    using = alias()
    form = bulk.shape(Delivery, ("id", "attempts", "lease_token", "payload"), using=using)
    # The payload of `given` is the cursor, as JSON.
    added = "jsonb_set(d.payload, '{cursor}', given.payload)"
    if connections[using].vendor != "postgresql":
        added = "json_set(d.payload, '$.cursor', json(given.payload))"
    sql = f"""
        UPDATE {form.table} AS d SET state = %s, attempts = given.attempts, lease_token = given.lease_token,
            payload = CASE WHEN given.payload IS NULL THEN d.payload ELSE {added} END
        FROM {form.source} WHERE d.id = given.id
    """  # noqa: S608 - names of our own
    marked = []
    for row in rows:
        row.attempts += 1
        marked.append((row.id, row.attempts, owned[row.subscription].lease_token, row.cursor))
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [DeliveryState.SENDING, form.text(marked)])


def _secrets(subscriptions: Iterable[int], *, now: datetime) -> dict[int, tuple[str, ...]]:
    """Return the secrets that sign, newest first, and note that they are used."""
    using = alias()
    reading, sql = _signing(using)
    connection = connections[using]
    with connection.cursor() as cursor:
        keys = bulk.keys(subscriptions, using=using)
        cursor.execute(sql, [keys, adapted(now, using=using)])
        rows = cursor.fetchall()
    found: dict[int, tuple[str, ...]] = {}
    stale = []
    for row in reading.rows(rows):
        subscription, last_used_at = row["subscription"], row["last_used_at"]
        found[subscription] = (*found.get(subscription, ()), row["value"])[:SECRETS_AT_ONCE]
        if last_used_at is None or last_used_at < now - USED_EVERY:
            stale.append(row["id"])
    if stale:
        SigningSecret.objects.using(using).filter(pk__in=stale).update(last_used_at=now)
    return found


def _signing(using: str) -> tuple[bulk.Reading, str]:
    """Return how the answer of the statement of `_secrets` is read, and the statement.

    Not kept: the field is a host's to change, who may put encryption there when all else is loaded.
    """
    names = {"id": "id", "subscription": "subscription_id", "value": "value", "last_used_at": "last_used_at"}
    reading = bulk.Reading({name: ("s", SigningSecret, column) for name, column in names.items()}, using=using)
    sql = f"""
        SELECT {reading.columns} FROM {SigningSecret._meta.db_table} s
        WHERE {bulk.one_of("s.subscription_id", using=using)}
        AND (s.expires_at IS NULL OR s.expires_at > %s) ORDER BY s.created_at DESC, s.id DESC
    """  # noqa: S608 - names of our own
    return reading, sql


def _job_of(row: Row, endpoint: Endpoint, secrets: tuple[str, ...], *, now: datetime) -> Job:
    """Return the job; one that fails with `error` where the rows are such that none can be made."""
    token = endpoint.lease_token
    assert token is not None  # noqa: S101 - for the type checker; an owned endpoint has our lease
    subscription = endpoint.subscription
    is_reversal_by_get = row.kind == DeliveryKind.REVERSAL and subscription.method == "GET"
    return Job(
        delivery=row.id,
        endpoint=endpoint.pk,
        token=token,
        number=row.attempts,
        lost=row.lost,
        payload=row.payload,
        confirmation=row.confirmation,
        facts=Facts(
            delivery=row.id,
            attempt=row.attempts,
            visitor=row.visitor,
            hit=row.hit,
            hit_at=row.hit_at,
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
        problem=row.problem,
    )
