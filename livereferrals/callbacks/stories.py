"""What happened to one delivery, for a page: where it stands, why it waits, and each attempt (callbacks, section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from livereferrals.callbacks import holds
from livereferrals.callbacks.models import ENDED, Delivery, DeliveryAttempt, DeliveryState
from livereferrals.callbacks.outcomes import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.callbacks.holds import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One attempt."""

    row: DeliveryAttempt
    outcome: str
    """In words."""
    is_good: bool
    retry_after: str
    """The answer's `Retry-After`, as it came."""
    request_headers: tuple[tuple[str, str], ...]
    response_headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A delivery and what happened to it."""

    delivery: Delivery
    now: datetime
    hold: Hold | None
    """Why it is not sent although it waits."""
    behind: Delivery | None
    """The delivery that it waits for."""
    outcome: str
    """What came of the last attempt, in words."""
    tries: tuple[Try, ...]
    """None where the viewer may not see them."""

    @property
    def is_moving(self) -> bool:
        """Whether more will happen by itself."""
        return self.delivery.state not in ENDED

    @property
    def counts_down(self) -> bool:
        """Whether the next attempt's time is known."""
        return self.delivery.state == DeliveryState.WAITING and self.hold is None and self.behind is None

    @property
    def is_due(self) -> bool:
        """Whether it may be made at any moment."""
        return self.delivery.due_at <= self.now


def story_of(delivery: Delivery, *, now: datetime, with_attempts: bool, for_staff: bool = True) -> Story:
    """Return a delivery's story, its subscription with endpoint and partner loaded. Two queries."""
    waits = delivery.state == DeliveryState.WAITING
    is_test = delivery.kind == "test"
    after = delivery.after if waits and delivery.after_id is not None else None
    rows = list(delivery.attempt_log.order_by("number")) if with_attempts else []
    return Story(
        delivery=delivery,
        now=now,
        hold=holds.hold_of(delivery.subscription.endpoint, now=now, for_staff=for_staff)
        if waits and not is_test
        else None,
        behind=after if after is not None and after.state not in ENDED else None,
        outcome=outcome_in_words(delivery.last_outcome),
        tries=tuple(_try(row) for row in rows),
    )


def outcome_in_words(code: str) -> str:
    """Return what an outcome means."""
    return str(Outcome(code).label) if code in Outcome.values else code


def _try(row: DeliveryAttempt) -> Try:
    outcome = outcome_in_words(row.outcome)
    answer = tuple((str(name), str(value)) for name, value in row.response_headers)
    return Try(
        row=row,
        outcome=_("%(outcome)s (came too late to count)") % {"outcome": outcome} if row.late else outcome,
        is_good=row.outcome == Outcome.OK,
        retry_after=", ".join(value for name, value in answer if name.lower() == "retry-after"),
        request_headers=tuple(row.request_headers.items()),
        response_headers=answer,
    )
