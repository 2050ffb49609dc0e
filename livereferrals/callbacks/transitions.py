"""The state machine of a delivery: where a result takes it (callbacks, section 3). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from livereferrals.callbacks import schedule
from livereferrals.callbacks.models import DeliveryState, EndReason
from livereferrals.callbacks.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

LOSSES_TO_POISON: Final = 3
ENDS: Final = {Outcome.GONE: EndReason.GONE, Outcome.UNRENDERABLE: EndReason.UNRENDERABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a delivery goes."""

    state: DeliveryState
    due_at: datetime | None = None
    """For a waiting one."""
    end_reason: EndReason | None = None
    """For a dead one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """What a step depends on besides the result."""

    now: datetime
    waits: Sequence[timedelta]
    """`RETRY_SCHEDULE`."""
    chance: float
    """A random number from 0 to 1."""


def after_result(outcome: Outcome, *, tries: int, pause: timedelta | None, once: bool, given: Chances) -> Step:
    """Return the step after attempt number `tries` of the current schedule (transitions 3, 4, 5, 9).

    `pause` is what a `Retry-After` asked for; it never brings an attempt forward. `once`: a test is not retried.
    """
    if outcome is Outcome.OK:
        return Step(state=DeliveryState.DELIVERED)
    if outcome in ENDS:
        return Step(state=DeliveryState.DEAD, end_reason=ENDS[outcome])
    wait = None if once else schedule.wait_after(tries, waits=given.waits, chance=given.chance)
    if wait is None:
        return Step(state=DeliveryState.DEAD, end_reason=EndReason.EXHAUSTED)
    longest = wait if pause is None else max(wait, pause)
    return Step(state=DeliveryState.WAITING, due_at=given.now + longest)


def after_loss(losses: int, *, tries: int, given: Chances) -> Step:
    """Return the step after a worker has died in an attempt for the `losses`-th time (transitions 7, 8)."""
    if losses >= LOSSES_TO_POISON:
        return Step(state=DeliveryState.DEAD, end_reason=EndReason.POISON)
    wait = schedule.wait_after_loss(losses, tries, waits=given.waits, chance=given.chance)
    return Step(state=DeliveryState.WAITING, due_at=given.now + wait)
