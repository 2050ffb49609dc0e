"""Which endpoints need somebody now: the banner of admin and dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Q

from livereferrals.callbacks import alerting
from livereferrals.callbacks.models import AlertCause, EndpointAlert, EndpointState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.callbacks.models import Endpoint, Subscription

SHOWN: Final = 20
"""Lines of a banner."""
FRESH: Final = timedelta(hours=24)
"""How long it shows what happened once."""
ONCE: Final = (AlertCause.BLOCKED, AlertCause.POISON, AlertCause.UNRENDERABLE, AlertCause.ERROR)
"""What happened, as opposed to what goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One line of the banner."""

    subscription: Subscription
    """With its partner."""
    cause: AlertCause
    since: datetime | None
    detail: str = ""

    @property
    def text(self) -> str:
        """What is the matter, in words."""
        return str(self.cause.label)


def needs(*, now: datetime, partners: Iterable[str] | None = None) -> list[Need]:
    """Return what needs somebody, the newest first, one line for each endpoint and cause; `partners`: only theirs.

    Three queries over the endpoints; none reads deliveries, except for a look into an index for each endpoint.
    """
    own = Q() if partners is None else Q(subscription__partner__uid__in=sorted(partners))
    found = [*_going_on(own, now=now), *_overdue(own, now=now), *_happened(own, now=now)]
    found.sort(key=lambda need: need.since or now, reverse=True)
    return found[:SHOWN]


def _going_on(own: Q, *, now: datetime) -> list[Need]:
    ill = Q(state=EndpointState.DISABLED) | Q(state=EndpointState.ACTIVE, failing_since__lte=now - alerting.FAILING_FOR)
    return [
        Need(
            subscription=row.subscription,
            cause=alerting.cause_of_state(row) if row.state == EndpointState.DISABLED else AlertCause.FAILING,
            since=row.state_changed_at if row.state == EndpointState.DISABLED else row.failing_since,
            detail=row.state_reason,
        )
        for row in _listed(alerting.in_use().filter(own, ill).order_by("-failing_since"))
    ]


def _overdue(own: Q, *, now: datetime) -> list[Need]:
    return [
        Need(subscription=row.subscription, cause=AlertCause.BACKLOG, since=None)
        for row in _listed(alerting.overdue(now).filter(own))
    ]


def _listed(rows: QuerySet[Endpoint]) -> list[Endpoint]:
    return list(rows.select_related("subscription__partner")[:SHOWN])


def _happened(own: Q, *, now: datetime) -> list[Need]:
    rows = EndpointAlert.objects.filter(
        own, cause__in=ONCE, raised_at__gt=now - FRESH, subscription__archived_at__isnull=True
    )
    return [
        Need(subscription=row.subscription, cause=AlertCause(row.cause), since=row.raised_at, detail=row.text)
        for row in rows.select_related("subscription__partner").order_by("-raised_at")[:SHOWN]
    ]
