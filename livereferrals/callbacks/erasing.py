"""Erasing a person: from the rows, the log and the deliveries, wherever something leads to it (Y-03 to Y-05).

Partners, amounts and counts stay. What a partner's server was told before, only the partner can erase.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import connections, router, transaction
from django.utils.translation import gettext

from livereferrals.callbacks import clock, recording
from livereferrals.callbacks.models import Delivery, DeliveryAttempt, DeliveryState, EndReason
from livereferrals.callbacks.notices import delivery_entry
from livereferrals.events import erasure, log
from livereferrals.tracking import forgetting
from livereferrals.tracking.models import Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator, Sequence

    from livereferrals.callbacks.transitions import Step

logger = logging.getLogger(__name__)

CHUNK: Final = 100
"""Confirmations whose deliveries are handled together."""
CLEARED: Final[dict[str, Any]] = {
    "request_url": "",
    "request_headers": {},
    "request_excerpt": "",
    "response_headers": [],
    "response_excerpt": "",
}
"""What an attempt keeps of request and answer, and what is left of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How much an erasure has changed."""

    visitors: int
    hits: int
    confirmations: int
    deliveries_cancelled: int


def erase_user(user: Any, *, by: Any = None) -> Erased:
    """Have nothing lead to the user any more: visitors go, hits, confirmations and events stay without it.

    Deliveries that wait are cancelled, texts of ended ones cleared; one that is being sent ends as it began. The log's
    events are emptied once the caller's transaction has committed. A second call finds nothing and does no harm. One
    transaction, and short ones for the log.

    Args:
        user: the user, or its primary key.
        by: who asked for it: an entry in the admin's log, and in the log of the process, says so.
    """
    user_pk = getattr(user, "pk", user)
    if not connections[_alias()].in_atomic_block:
        # Most of the log beforehand, so that a process which dies after the commit leaves next to nothing.
        visitors = Visitor.objects.using(_alias()).filter(user=user_pk).values_list("pk", flat=True)
        erasure.erase(user=str(user_pk), visitors=list(visitors))
    with transaction.atomic(using=_alias()):
        traces = forgetting.lock(user_pk)
        cancelled = sum(_erase_deliveries(chunk) for chunk in _chunks(traces.confirmations))
        forgetting.erase(traces, user_pk=user_pk)
        # Its number only: an entry with the name would be the next thing to erase.
        said = gettext("Personal data of the referrals erased.")
        recording.record(by, [get_user_model()(pk=user_pk)], said, action="erasure.recorded", shown=f"user {user_pk}")

        # A function with a name: Django logs the `__qualname__` of a hook that fails.
        def erase_events() -> None:
            erasure.erase(user=str(user_pk), visitors=traces.visitors)

        transaction.on_commit(erase_events, using=_alias())
    erased = Erased(
        visitors=len(traces.visitors),
        hits=len(traces.hits),
        confirmations=len(traces.confirmations),
        deliveries_cancelled=cancelled,
    )
    logger.info(
        "Personal data of user %s were erased by %s.",
        user_pk,
        "nobody named" if by is None else f"user {by.pk}",
        extra={"action": "user.erased", "by": getattr(by, "pk", None), **asdict(erased)},
    )
    return erased


def forget_deleted_user(*, instance: Any, using: str, **kwargs: object) -> None:
    """Leave nothing that names a user who is deleted: the receiver of `pre_delete` (Y-05).

    Hits, confirmations and visitors stay (L-63), and so does what is owed to partners.
    """
    if using != _alias():
        return
    user_pk = instance.pk
    with transaction.atomic(using=using):
        forgetting.unname(forgetting.lock(user_pk))

    def unname_events() -> None:
        erasure.unname(user=str(user_pk))

    # The sequencer's lock is not held until the host's transaction ends.
    transaction.on_commit(unname_events, using=using, robust=True)


def _erase_deliveries(confirmations: Sequence[uuid.UUID]) -> int:
    """Cancel what waits, and empty every delivery and attempt of these confirmations; return how many were cancelled."""
    mine = Delivery.objects.using(_alias()).filter(confirmation__in=confirmations)
    rows = list(mine.select_related("subscription__partner").select_for_update(of=("self",)).order_by("pk"))
    waiting = [row for row in rows if row.state == DeliveryState.WAITING]
    now = clock.now(_alias())
    entries = []
    for row in waiting:
        row.state, row.end_reason = DeliveryState.CANCELLED, EndReason.ERASURE
        entry = delivery_entry(row, outcome=row.state, reason=row.end_reason, now=now)
        if entry is not None:
            entries.append(replace(entry, visitor=None))
    mine.filter(pk__in=[row.pk for row in waiting]).update(
        state=DeliveryState.CANCELLED, end_reason=EndReason.ERASURE, finished_at=now
    )
    mine.update(payload=None)
    DeliveryAttempt.objects.using(_alias()).filter(delivery__in=[row.pk for row in rows]).update(**CLEARED)
    if entries:
        log.append_all(entries)
    return len(waiting)


# --- what was under way ---------------------------------------------------------------------------------------------------


def without_repeat(delivery: Delivery, step: Step) -> Step:
    """Return the step after an attempt that an erasure has overtaken: nothing is sent again."""
    if delivery.payload is not None or step.state != DeliveryState.WAITING:
        return step
    return replace(step, state=DeliveryState.CANCELLED, end_reason=EndReason.ERASURE, due_at=None)


def clear_if_erased(delivery: Delivery, attempt: DeliveryAttempt) -> None:
    """Empty an attempt that ends after its delivery was erased. Not saved."""
    if delivery.payload is None:
        for name, value in CLEARED.items():
            setattr(attempt, name, value)


def _chunks(found: Sequence[uuid.UUID]) -> Iterator[Sequence[uuid.UUID]]:
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]


def _alias() -> str:
    return router.db_for_write(Delivery)
