"""Which endpoints want a worker, and which deliveries are due: conditions, without a statement of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import OuterRef, Q, Subquery

from livereferrals.callbacks import clock
from livereferrals.callbacks.health import BREAKER
from livereferrals.callbacks.models import ENDED, Delivery, DeliveryKind, DeliveryState, Endpoint, EndpointState
from livereferrals.callbacks.transactions import alias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet
    from django.db.models.functions import Now

LEASE: Final = timedelta(seconds=60)
NONSENSE: Final = LEASE + timedelta(seconds=1)
"""A lease that ends later than this was set by a clock that has jumped back."""


def due(now: datetime | Now) -> QuerySet[Delivery]:
    """Return waiting deliveries whose time has come and whose predecessor has ended."""
    waiting = Delivery.objects.using(alias()).filter(state=DeliveryState.WAITING, due_at__lte=now)
    return waiting.filter(Q(after__isnull=True) | Q(after__state__in=ENDED))


def tests(now: datetime | Now) -> QuerySet[Delivery]:
    """Return waiting tests; they follow nothing."""
    return Delivery.objects.using(alias()).filter(state=DeliveryState.WAITING, kind=DeliveryKind.TEST, due_at__lte=now)


def may_be_served(now: datetime) -> Q:
    """Return the condition on an endpoint whose deliveries are neither held nor behind a gate."""
    return Q(
        Q(gate_until__isnull=True) | Q(gate_until__lte=now),
        ~Q(subscription__callback_url=""),
        state=EndpointState.ACTIVE,
        subscription__archived_at__isnull=True,
        subscription__partner__active=True,
    )


def may_be_tested(now: datetime) -> Q:
    """Return the condition on an endpoint to which a test may be sent: a hold does not matter, a pause asked for does."""
    return Q(
        Q(gate_until__isnull=True) | Q(gate_until__lte=now) | Q(gate_reason=BREAKER),
        ~Q(subscription__callback_url=""),
        subscription__archived_at__isnull=True,
    )


def is_anything_waiting(*, only: int | None = None) -> bool:
    """Whether an endpoint has something due and nobody serves it; `only`: this one. One query."""
    return wanting(clock.now(alias()), gone=(), only=only).exists()


def wanting(now: datetime, *, gone: Sequence[str], only: int | None = None, steady: bool = True) -> QuerySet[Endpoint]:
    """Return the endpoints that nobody serves and that have something due, or something that a worker has left.

    `gone`: workers that are no more; `only`: no other endpoint than this one; `steady`: whether the clock is trusted.
    """
    over = Q(leased_by__in=gone)
    if steady:
        over |= Q(lease_until__lte=now) | Q(lease_until__gt=now + NONSENSE)
    # Not EXISTS: where one endpoint has nearly all rows, PostgreSQL reads the whole table for each of the others. In the
    # order of an index, with one row wanted, it takes that index.
    first_due = due(now).filter(subscription=OuterRef("pk")).order_by("due_at", "id").values("pk")[:1]
    has_test = Q(pk__in=tests(now).values("subscription"))
    abandoned = Q(lease_token__isnull=False) & over
    wanted = (may_be_served(now) & Q(first_due__isnull=False)) | (may_be_tested(now) & has_test)
    found = (
        Endpoint.objects.using(alias())
        .alias(first_due=Subquery(first_due))
        .filter(abandoned | Q(wanted, lease_token__isnull=True))
    )
    return found if only is None else found.filter(pk=only)
