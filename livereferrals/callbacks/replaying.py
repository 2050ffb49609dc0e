"""Replay: the ended deliveries of a span of time are made once more, with the same ids, so many a second.

`preview` says what it would be, `begin` asks for it, `stop` ends it. Workers do it: `step_all` makes the next ones due,
never faster than the rate, nor faster than the endpoint works them off, so that ordinary traffic keeps its share
(callback-F57).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import IntegrityError
from django.db.models import F, Q
from django.utils.translation import gettext as _

from livereferrals.callbacks import clock, recording
from livereferrals.callbacks.acting import make_due
from livereferrals.callbacks.models import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    EndpointState,
    Replay,
    ReplayState,
    Subscription,
)
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.callbacks.waking import wake_workers

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from django.db.models import QuerySet

MOST: Final = 100_000
"""Deliveries of one replay (callback-S16)."""
RATES: Final = (1, 1000)
"""Deliveries a second: the fewest and the most."""
USUAL_RATE: Final = 10
SHOWN: Final = 20
"""Deliveries that a preview lists."""
BATCH: Final = 1000
"""Deliveries made due in one transaction."""
AHEAD: Final = 50
"""Due deliveries of the endpoint above which a replay waits: what is new must not stand behind all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is to be replayed."""

    subscription: int
    since: datetime
    until: datetime
    """Half-open: `since <= made < until`."""
    with_delivered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a replay would do."""

    count: int
    """How many calls; `MOST + 1` where there are more than one replay may make."""
    first: tuple[Delivery, ...]
    """The first few, in their order, their confirmation loaded."""

    @property
    def is_too_much(self) -> bool:
        """Whether the span has to be made shorter."""
        return self.count > MOST

    def takes(self, per_second: int) -> timedelta:
        """Return how long it takes at the least."""
        return timedelta(seconds=self.count / per_second)


class ReplayRefusedError(ValueError):
    """The replay cannot be begun; the message says why, for a person."""


def chosen(span: Span) -> QuerySet[Delivery]:
    """Return the deliveries of a span, oldest first; no query yet.

    Those that were given up, and if wanted the delivered ones too; no tests, nothing that was cancelled or erased.
    """
    states = [DeliveryState.DEAD, *([DeliveryState.DELIVERED] if span.with_delivered else [])]
    return (
        Delivery.objects.using(alias())
        .filter(
            subscription=span.subscription,
            created_at__gte=span.since,
            created_at__lt=span.until,
            state__in=states,
            payload__isnull=False,
        )
        .exclude(kind=DeliveryKind.TEST)
        .order_by("created_at", "id")
    )


def preview(span: Span) -> Preview:
    """Return what a replay of the span would do. Two queries, over at most `MOST` rows of an index."""
    rows = chosen(span)
    return Preview(count=rows[: MOST + 1].count(), first=tuple(rows.select_related("confirmation")[:SHOWN]))


def begin(span: Span, *, per_second: int, by: Any) -> Replay:
    """Ask for a replay; a worker goes on with it at once.

    Raises:
        ReplayRefusedError: the span is empty or too long, the rate is none, or another one is running there.
    """
    if not RATES[0] <= per_second <= RATES[1]:
        raise ReplayRefusedError(_("Between %(least)s and %(most)s a second.") % {"least": RATES[0], "most": RATES[1]})
    if span.until <= span.since:
        raise ReplayRefusedError(_("The end has to be after the beginning."))
    subscription = Subscription.objects.using(alias()).select_related("partner").get(pk=span.subscription)
    if subscription.archived_at is not None or not subscription.callback_url:
        raise ReplayRefusedError(_("The subscription is archived or has no address to call."))
    count = chosen(span)[: MOST + 1].count()
    if not count:
        raise ReplayRefusedError(_("There is nothing to replay in this time."))
    if count > MOST:
        raise ReplayRefusedError(_("These are more than %(most)s deliveries: choose a shorter time.") % {"most": MOST})
    replay = _insert(span, subscription, per_second=per_second, counted=count, by=by)
    wake_workers()
    return replay


def _insert(span: Span, subscription: Subscription, *, per_second: int, counted: int, by: Any) -> Replay:
    now = clock.now(alias())
    try:
        with short_transaction(alias()):
            replay = Replay.objects.using(alias()).create(
                subscription=subscription,
                since=span.since,
                until=span.until,
                with_delivered=span.with_delivered,
                per_second=per_second,
                counted=counted,
                # The first second's worth goes out at once.
                stepped_at=now - timedelta(seconds=1),
                created_at=now,
                created_by=by,
            )
            said = _("Replay of %(count)s deliveries begun.") % {"count": counted}
            recording.record(by, [subscription], said, action="replay.begun")
    except IntegrityError as error:
        raise ReplayRefusedError(_("A replay of this subscription is running already.")) from error
    return replay


def stop(replay: Replay, *, by: Any) -> bool:
    """End a running replay; what it has made due goes out. Return whether it was running."""
    with short_transaction(alias()):
        running = Replay.objects.using(alias()).filter(pk=replay.pk, state=ReplayState.RUNNING)
        if not running.update(state=ReplayState.STOPPED, finished_at=clock.now(alias())):
            return False
        recording.record(by, [replay.subscription], _("Replay stopped."), action="replay.stopped")
    return True


def step_all() -> int:
    """Go on with every running replay; return how many deliveries were made due. One query where none is running."""
    running = Replay.objects.using(alias()).filter(state=ReplayState.RUNNING)
    total = sum(step(key) for key in list(running.values_list("pk", flat=True)))
    if total:
        wake_workers()
    return total


def step(key: uuid.UUID) -> int:
    """Make the next deliveries of a replay due, as many as its rate allows since the last time.

    One transaction; the row's lock lets one process do it. A replay waits while the endpoint is held or has enough to
    do; it ends with its span.
    """
    with short_transaction(alias()):
        locked = Replay.objects.using(alias()).select_for_update(skip_locked=True, of=("self",))
        replay = (
            locked.filter(pk=key, state=ReplayState.RUNNING)
            .select_related("subscription__endpoint", "subscription__partner")
            .first()
        )
        if replay is None:
            return 0
        now = clock.now(alias())
        room = _room(replay, now=now)
        if room <= 0:
            return 0
        rows = list(_left(replay).select_for_update(of=("self",))[:room])
        done = make_due(rows, now=now)
        _move_on(replay, rows, done=done, is_over=len(rows) < room, now=now)
    return done


def _room(replay: Replay, *, now: datetime) -> int:
    """Return how many may be made due now; the time in which the endpoint was held is not made up for."""
    subscription = replay.subscription
    waits = subscription.endpoint.state != EndpointState.ACTIVE or not subscription.partner.active
    if waits or _is_busy(replay.subscription_id, now=now):
        Replay.objects.using(alias()).filter(pk=replay.pk).update(stepped_at=now)
        return 0
    elapsed = max(0.0, (now - replay.stepped_at).total_seconds())
    return min(BATCH, int(elapsed * replay.per_second))


def _is_busy(subscription: int, *, now: datetime) -> bool:
    due = Delivery.objects.using(alias()).filter(
        subscription=subscription, state=DeliveryState.WAITING, due_at__lte=now
    )
    return due.order_by("due_at").values("pk")[: AHEAD + 1].count() > AHEAD


def _left(replay: Replay) -> QuerySet[Delivery]:
    span = Span(
        subscription=replay.subscription_id,
        since=replay.after_created_at or replay.since,
        until=replay.until,
        with_delivered=replay.with_delivered,
    )
    rows = chosen(span)
    if replay.after_created_at is None:
        return rows
    return rows.filter(Q(created_at__gt=replay.after_created_at) | Q(id__gt=replay.after_id))


def _move_on(replay: Replay, rows: list[Delivery], *, done: int, is_over: bool, now: datetime) -> None:
    values: dict[str, Any] = {"stepped_at": now, "done": F("done") + done}
    if rows:
        values |= {"after_created_at": rows[-1].created_at, "after_id": rows[-1].pk}
    if is_over:
        values |= {"state": ReplayState.FINISHED, "finished_at": now}
    Replay.objects.using(alias()).filter(pk=replay.pk).update(**values)
