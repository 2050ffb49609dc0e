"""What staff do with deliveries: retry now, resend, cancel (callbacks, sections 3 and 10).

Each act takes what its caller has seen - the delivery and the number of its attempts - and does it only where that is
still so: of two people who press a button at once, one does it (callback-F56). Who may do what is the caller's to say.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _

from livereferrals.callbacks import clock, recording
from livereferrals.callbacks.models import ENDED, Delivery, DeliveryKind, DeliveryState, EndReason
from livereferrals.callbacks.notices import delivery_entry
from livereferrals.callbacks.transactions import alias, short_transaction
from livereferrals.callbacks.waking import wake_workers
from livereferrals.events import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

MOST_AT_ONCE: Final = 500
"""Deliveries of one act (callback-S16); more are a replay's."""


class Obstacle(StrEnum):
    """Why an act was not done to a delivery."""

    GONE = "gone"
    OVERTAKEN = "overtaken"
    STATE = "state"
    TEST = "test"
    REVERSED = "reversed"
    ERASED = "erased"
    ARCHIVED = "archived"
    NO_ADDRESS = "no_address"

    def in_words(self) -> str:
        """Say it to a person."""
        return {
            Obstacle.GONE: _("It is not there any more."),
            Obstacle.OVERTAKEN: _("Something has happened to it meanwhile: look again."),
            Obstacle.STATE: _("It is not in a state for that."),
            Obstacle.TEST: _("A test is made once: send a new one."),
            Obstacle.REVERSED: _("The confirmation was taken back before anything was sent."),
            Obstacle.ERASED: _("Its data have been erased."),
            Obstacle.ARCHIVED: _("The subscription is archived."),
            Obstacle.NO_ADDRESS: _("The subscription has no address to call."),
        }[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A delivery as somebody saw it before pressing a button."""

    delivery: uuid.UUID
    attempts: int | None = None
    """Of that moment; nothing: as it is now."""

    @classmethod
    def parse(cls, text: str) -> Seen | None:
        """Return what a form field says, `<delivery>:<attempts>` or `<delivery>`; nothing for anything else."""
        key, _colon, attempts = text.partition(":")
        try:
            return cls(delivery=uuid.UUID(key), attempts=int(attempts) if attempts else None)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.delivery}:{self.attempts}" if self.attempts is not None else str(self.delivery)


@dataclass(slots=True, kw_only=True)
class Done:
    """What an act did."""

    deliveries: list[Delivery] = field(default_factory=list)
    """Those that it was done to."""
    followers: int = 0
    """Reversals that were cancelled with the confirmation that they follow."""
    refused: dict[uuid.UUID, Obstacle] = field(default_factory=dict)
    """Why not, for the others."""


class TooManyError(ValueError):
    """More deliveries than one act takes."""


def obstacle_to_retry(delivery: Delivery) -> Obstacle | None:
    """Return what keeps a delivery from being retried at once, its subscription loaded."""
    return _first(
        (delivery.state != DeliveryState.WAITING, Obstacle.STATE),
        (delivery.subscription.archived_at is not None, Obstacle.ARCHIVED),
    )


def obstacle_to_resend(delivery: Delivery) -> Obstacle | None:
    """Return what keeps a delivery from being made once more, its subscription loaded."""
    return _first(
        (delivery.kind == DeliveryKind.TEST, Obstacle.TEST),
        (delivery.state not in ENDED, Obstacle.STATE),
        (delivery.end_reason == EndReason.REVERSED, Obstacle.REVERSED),
        (delivery.payload is None or delivery.end_reason == EndReason.ERASURE, Obstacle.ERASED),
        (delivery.subscription.archived_at is not None, Obstacle.ARCHIVED),
        (not delivery.subscription.callback_url, Obstacle.NO_ADDRESS),
    )


def obstacle_to_cancel(delivery: Delivery) -> Obstacle | None:
    """Return what keeps a delivery from being cancelled: only what waits can be."""
    return Obstacle.STATE if delivery.state != DeliveryState.WAITING else None


def _first(*cases: tuple[bool, Obstacle]) -> Obstacle | None:
    return next((obstacle for is_so, obstacle in cases if is_so), None)


def retry_now(seen: Iterable[Seen], *, by: Any) -> Done:
    """Make waiting deliveries due now; they keep their place in the schedule. A closed gate stays closed.

    One transaction: a reading that locks, an update, an insert into the admin's log.
    """
    with _chosen(seen, obstacle=obstacle_to_retry) as chosen:
        rows, now = chosen.done.deliveries, chosen.now
        _waiting(rows).update(due_at=now)
        recording.record(by, rows, _("Retried now."), action="delivery.retried_by_staff")
    return chosen.done


def resend(seen: Iterable[Seen], *, by: Any) -> Done:
    """Make ended deliveries once more, with the same id, by a fresh schedule; their attempts stay (transition 14).

    One transaction: a reading that locks, an update for each number of attempts, an insert into the admin's log.
    """
    with _chosen(seen, obstacle=obstacle_to_resend) as chosen:
        rows = chosen.done.deliveries
        make_due(rows, now=chosen.now)
        recording.record(by, rows, _("Resent."), action="delivery.resent")
    return chosen.done


def cancel(seen: Iterable[Seen], *, by: Any) -> Done:
    """Cancel what waits (transition 11). What is under way is not called back.

    Reversals behind a confirmation that was never begun go with it: their partner has never heard of it. One
    transaction: two readings that lock, an update, an event for each, an insert into the admin's log.
    """
    with _chosen(seen, obstacle=obstacle_to_cancel) as chosen:
        rows, now = chosen.done.deliveries, chosen.now
        behind = _behind(rows)
        _waiting([*rows, *behind]).update(state=DeliveryState.CANCELLED, end_reason=EndReason.STAFF, finished_at=now)
        entries = []
        for row in [*rows, *behind]:
            row.state, row.end_reason = DeliveryState.CANCELLED, EndReason.STAFF
            entries.append(delivery_entry(row, outcome=row.state, reason=row.end_reason, now=now))
        log.append_all([entry for entry in entries if entry is not None])
        recording.record(by, [*rows, *behind], _("Cancelled."), action="delivery.cancelled")
        chosen.done.followers = len(behind)
    return chosen.done


def make_due(rows: Iterable[Delivery], *, now: datetime) -> int:
    """Have ended deliveries wait again, due now; return how many. The caller holds their locks."""
    by_attempts: dict[int, list[uuid.UUID]] = {}
    for row in rows:
        by_attempts.setdefault(row.attempts, []).append(row.pk)
    return sum(
        Delivery.objects.using(alias())
        .filter(pk__in=keys, state__in=ENDED, attempts=attempts)
        .update(
            state=DeliveryState.WAITING, end_reason="", due_at=now, schedule_from=attempts, lost=0, finished_at=None
        )
        for attempts, keys in by_attempts.items()
    )


def _waiting(rows: Iterable[Delivery]) -> QuerySet[Delivery]:
    return Delivery.objects.using(alias()).filter(pk__in=[row.pk for row in rows], state=DeliveryState.WAITING)


def _behind(rows: Iterable[Delivery]) -> list[Delivery]:
    """Return, locked, the reversals that follow those of the confirmations of which no attempt has begun."""
    unsent = [row.pk for row in rows if row.kind == DeliveryKind.CONFIRMATION and not row.attempts]
    known = {row.pk for row in rows}
    followers = _locked(
        Delivery.objects.using(alias()).filter(after__in=unsent, state=DeliveryState.WAITING, attempts=0)
    )
    return [row for row in followers if row.pk not in known]


def _locked(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    # By their ids: of two people who choose the same rows, none waits for the other in a circle.
    return rows.select_related("subscription__partner").order_by("pk").select_for_update(of=("self",))


@dataclass(slots=True, kw_only=True)
class _Chosen:
    now: datetime
    done: Done


@contextmanager
def _chosen(seen: Iterable[Seen], *, obstacle: Callable[[Delivery], Obstacle | None]) -> Iterator[_Chosen]:
    """Hold the locks of what the act can be done to, and know why not of the rest; wake the workers afterwards."""
    wanted = {item.delivery: item.attempts for item in seen}
    if len(wanted) > MOST_AT_ONCE:
        raise TooManyError(
            f"{len(wanted)} deliveries at once; {MOST_AT_ONCE} is the most. Replay a span of time instead."
        )
    with short_transaction(alias()):
        rows = {row.pk: row for row in _locked(Delivery.objects.using(alias()).filter(pk__in=list(wanted)))}
        chosen = _Chosen(now=clock.now(alias()), done=Done())
        for key, attempts in wanted.items():
            row = rows.get(key)
            reason = _refusal(row, attempts, obstacle)
            if row is not None and reason is None:
                chosen.done.deliveries.append(row)
            else:
                chosen.done.refused[key] = reason or Obstacle.GONE
        yield chosen
    wake_workers()


def _refusal(
    row: Delivery | None, attempts: int | None, obstacle: Callable[[Delivery], Obstacle | None]
) -> Obstacle | None:
    if row is None:
        return Obstacle.GONE
    if attempts is not None and attempts != row.attempts:
        return Obstacle.OVERTAKEN
    return obstacle(row)
