"""Alerts: what staff are told of an endpoint, once for each cause in six hours, whichever process finds it.

`raise_alert` writes it down; `look_at` does so for the results of a worker, `sweep` for what shows in the tables: a worker
may have died between a commit and its telling. `tell_pending` sends the signal and the mail. What the banner shows is `attention`'s.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Exists, OuterRef, Q

from livereferrals import signals
from livereferrals.callbacks import blocking, clock, health, mailing
from livereferrals.callbacks.models import (
    AlertCause,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Endpoint,
    EndpointAlert,
    EndpointState,
    EndReason,
    Subscription,
)
from livereferrals.callbacks.notices import tell
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.transactions import alias

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.callbacks.notices import Notice

ONE_IN: Final = timedelta(hours=6)
"""For one endpoint and one cause."""
SAME_LOOK: Final = timedelta(minutes=1)
"""Longer than any look of a process takes."""
FAILING_FOR: Final = timedelta(hours=24)
OVERDUE_FOR: Final = timedelta(hours=1)
LOOKED_BACK: Final = timedelta(minutes=10)
"""How long ago a delivery may have died for a sweep to see it."""
TOLD_AT_ONCE: Final = 50
LONGEST_TEXT: Final = 1000
OF_OUTCOMES: Final[dict[str, AlertCause]] = {
    Outcome.BLOCKED: AlertCause.BLOCKED,
    Outcome.UNRENDERABLE: AlertCause.UNRENDERABLE,
    Outcome.ERROR: AlertCause.ERROR,
    Outcome.GONE: AlertCause.GONE,
}
OF_ENDS: Final[dict[str, AlertCause]] = {
    EndReason.POISON: AlertCause.POISON,
    EndReason.UNRENDERABLE: AlertCause.UNRENDERABLE,
}


def raise_alert(
    subscription: int, cause: AlertCause, *, now: datetime, text: str = "", delivery: uuid.UUID | None = None
) -> bool:
    """Write an alert down, unless there was one of this cause in the last six hours; return whether it is a new one.

    At most one insert and one update. Every change of an address or a secret is told: those are put together as long
    as they wait to be told.
    """
    row, is_new = EndpointAlert.objects.using(alias()).get_or_create(
        subscription_id=subscription,
        cause=cause,
        defaults={"raised_at": now, "text": text[:LONGEST_TEXT], "delivery": delivery},
    )
    if is_new:
        return True
    old = EndpointAlert.objects.using(alias()).filter(pk=row.pk, raised_at=row.raised_at)
    if cause == AlertCause.CHANGED:
        whole = f"{row.text}\n{text}" if row.told_at is None else text
        return bool(old.update(raised_at=now, told_at=None, text=whole[-LONGEST_TEXT:], delivery=delivery))
    # What is dated much later than now was raised before a clock jumped back; a little later: by one who has looked at the
    # same time, and has read the clock after us.
    if now - ONE_IN < row.raised_at <= now + SAME_LOOK:
        return False
    return bool(old.update(raised_at=now, told_at=None, text=text[:LONGEST_TEXT], delivery=delivery))


def concerns(notice: Notice) -> bool:
    """Whether a result is one that staff are told of."""
    return notice.delivery.kind != DeliveryKind.TEST and _cause_of(notice) is not None


def _cause_of(notice: Notice) -> AlertCause | None:
    if notice.final and notice.delivery.end_reason in OF_ENDS:
        return OF_ENDS[notice.delivery.end_reason]
    return OF_OUTCOMES.get(notice.attempt.outcome)


def look_at(notices: Iterable[Notice]) -> None:
    """Raise the alerts of these results, one for each endpoint and cause among them."""
    found: dict[tuple[int, AlertCause], Notice] = {}
    for notice in notices:
        cause = _cause_of(notice)
        if cause is not None and concerns(notice):
            found.setdefault((notice.delivery.subscription_id, cause), notice)
    now = clock.now(alias())
    for (subscription, cause), notice in found.items():
        text = blocking.told(notice) if cause == AlertCause.BLOCKED else notice.attempt.error
        raise_alert(subscription, cause, now=now, text=text, delivery=notice.delivery.pk)


def sweep() -> int:
    """Raise the alerts that the tables show; return how many are new. Four short queries where there is nothing."""
    now = clock.now(alias())
    raised = 0
    for endpoint in _switched_off(now):
        raised += raise_alert(endpoint.pk, cause_of_state(endpoint), now=now, text=endpoint.state_reason)
    for endpoint in _failing(now):
        raised += raise_alert(endpoint.pk, AlertCause.FAILING, now=now)
    for endpoint in overdue(now):
        raised += raise_alert(endpoint.pk, AlertCause.BACKLOG, now=now)
    died = Delivery.objects.using(alias()).filter(
        state=DeliveryState.DEAD, finished_at__gte=now - LOOKED_BACK, end_reason__in=list(OF_ENDS)
    )
    for row in died.exclude(kind=DeliveryKind.TEST).only("pk", "subscription_id", "end_reason")[:TOLD_AT_ONCE]:
        raised += raise_alert(row.subscription_id, OF_ENDS[row.end_reason], now=now, delivery=row.pk)
    return raised


def cause_of_state(endpoint: Endpoint) -> AlertCause:
    """Return why the system has switched an endpoint off; one that was never on, by an import, for its address."""
    if endpoint.state_changed_at is None:
        return AlertCause.BLOCKED
    return AlertCause.GONE if endpoint.state_reason == health.GONE_REASON else AlertCause.DISABLED


def in_use() -> QuerySet[Endpoint]:
    """Return the endpoints that somebody is meant to look after; no query yet."""
    return Endpoint.objects.using(alias()).filter(
        subscription__archived_at__isnull=True, subscription__partner__active=True
    )


def _switched_off(now: datetime) -> QuerySet[Endpoint]:
    """Return what the system has disabled since it was last told of."""
    told = EndpointAlert.objects.using(alias()).filter(
        subscription=OuterRef("pk"),
        cause__in=[AlertCause.GONE, AlertCause.DISABLED],
        raised_at__gte=OuterRef("state_changed_at"),
    )
    since = now - ONE_IN
    return in_use().filter(~Exists(told), state=EndpointState.DISABLED, state_changed_at__gte=since)


def _failing(now: datetime) -> QuerySet[Endpoint]:
    return in_use().filter(state=EndpointState.ACTIVE, failing_since__lte=now - FAILING_FOR)


def overdue(now: datetime) -> QuerySet[Endpoint]:
    """Return the endpoints in service whose oldest due delivery has waited for an hour: one look into an index each."""
    late = Delivery.objects.using(alias()).filter(
        subscription=OuterRef("pk"), state=DeliveryState.WAITING, due_at__lte=now - OVERDUE_FOR
    )
    return in_use().filter(Exists(late), ~Q(subscription__callback_url=""), state=EndpointState.ACTIVE)


def tell_pending() -> int:
    """Send the signal and the mail of each alert that waits to be told; return how many.

    Each is taken by one process before it is told: a death in between leaves the banner. A mail server that fails is
    logged and not tried again, since the banner stays.
    """
    pending = EndpointAlert.objects.using(alias()).filter(told_at__isnull=True).order_by("raised_at")
    told = 0
    for row in list(pending.select_related("subscription__partner")[:TOLD_AT_ONCE]):
        mine = EndpointAlert.objects.using(alias()).filter(pk=row.pk, told_at__isnull=True, raised_at=row.raised_at)
        if not mine.update(told_at=clock.now(alias())):
            continue
        told += 1
        _send_signal(row)
        mailing.send_alert(row)
    return told


def _send_signal(row: EndpointAlert) -> None:
    facts = {"subscription": row.subscription, "cause": row.cause, "text": row.text, "delivery": row.delivery}
    tell(signals.callback_alert, Subscription, **facts)
