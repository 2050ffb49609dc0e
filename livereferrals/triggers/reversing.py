"""Reversing: a confirmation is taken back, as a whole or in part, in the host's transaction like a confirmation."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.db.models import F, Min
from django.utils import timezone

from livereferrals import signals
from livereferrals.callbacks import outbox
from livereferrals.events import log
from livereferrals.exceptions import InvalidAmount
from livereferrals.tracking.amounts import parse_amount
from livereferrals.tracking.entries import reversal_entry
from livereferrals.tracking.models import Confirmation, ReferralHit, Reversal, ReversalReason
from livereferrals.tracking.reasons import ReversalOutcome

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversed:
    """What became of an attempt to take a confirmation back; true when this call did it."""

    reason: ReversalOutcome
    """`reversed`, or why not."""
    confirmation: Confirmation | None = None
    """The confirmation as it is now."""
    reversal: Reversal | None = None
    """What was written."""

    @property
    def created(self) -> bool:
        """Whether this call took something back."""
        return self.reversal is not None

    def __bool__(self) -> bool:
        return self.created


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be taken back, and why."""

    reason: ReversalReason
    note: str = ""
    amount: Decimal | int | str | None = None
    """Part of the confirmation's amount, in its currency; `None`: all that is left."""
    by: Any = None
    """The user who did it."""


NOT_FOUND: Final = Reversed(reason=ReversalOutcome.NOT_FOUND)


def read_reason(value: str) -> ReversalReason:
    """Return the reason.

    Raises:
        ValueError: it is none of `ReversalReason`.
    """
    try:
        reason: ReversalReason = ReversalReason(value)
    except ValueError as error:
        raise ValueError(f"A reversal's reason is one of {', '.join(ReversalReason.values)}, not {value!r}.") from error
    return reason


def find(
    confirmation: Confirmation | uuid.UUID | None, *, trigger: str | None, reference: str | None
) -> uuid.UUID | None:
    """Return the id of the confirmation that is meant, and the one of a reference if there is one. At most one query.

    Raises:
        TypeError: neither a confirmation nor a trigger with a reference, or both, or something else.
    """
    is_by_reference = trigger is not None and reference is not None
    if is_by_reference == (confirmation is not None) or (confirmation is not None and (trigger or reference)):
        raise TypeError("Give a confirmation, or a trigger together with a reference.")
    if confirmation is None:
        rows = Confirmation.objects.using(_alias()).filter(trigger=trigger, reference=reference)
        return rows.values_list("pk", flat=True).first()
    if not isinstance(confirmation, (Confirmation, uuid.UUID)):
        raise TypeError(f"A confirmation is a Confirmation or its id, not {type(confirmation).__name__}.")
    return confirmation.pk if isinstance(confirmation, Confirmation) else confirmation


def reverse(confirmation_id: uuid.UUID | None, wish: Wish) -> Reversed:
    """Take back what is left of the confirmation, or a part: reversal, event and what partners are owed, or nothing.

    Calls at once are done one after the other, so that parts never add up to more than the whole. One transaction, or
    one savepoint inside of the host's.

    Raises:
        InvalidAmount: a part that cannot be stored, or is nothing.
        TypeError: the part is a float, or no number at all.
    """
    with transaction.atomic(using=_alias()):
        confirmation = None if confirmation_id is None else _locked(confirmation_id)
        if confirmation is None:
            return NOT_FOUND
        if confirmation.reversed_at is not None:
            return Reversed(reason=ReversalOutcome.ALREADY_REVERSED, confirmation=confirmation)
        left = None if confirmation.amount_micros is None else confirmation.amount_micros - confirmation.reversed_micros
        part = _part(wish.amount, confirmation)
        if part is not None and (left is None or part > left):
            return Reversed(reason=ReversalOutcome.EXCEEDS_AMOUNT, confirmation=confirmation)
        taken = left if part is None else part
        return _write(confirmation, wish, taken=taken, partial=taken != left, now=timezone.now())


def _locked(confirmation_id: uuid.UUID) -> Confirmation | None:
    """Return the confirmation with its hit, link, partner and visitor, hit and confirmation locked.

    The hit comes first, as in claims and confirmations: two that lock in another order wait for each other for ever.
    """
    rows = Confirmation.objects.using(_alias()).filter(pk=confirmation_id)
    hits = ReferralHit.objects.using(_alias()).filter(pk__in=rows.values("hit"))
    if hits.select_for_update(no_key=True).values_list("pk").first() is None:
        return None
    return (
        rows.select_related("hit__link", "hit__partner", "partner", "visitor", "user")
        .select_for_update(of=("self",), no_key=True)
        .first()
    )


def _part(amount: object, confirmation: Confirmation) -> int | None:
    """Return the part in millionths of the confirmation's currency; of a confirmation without amount it is too much."""
    if amount is None:
        return None
    part = parse_amount(amount, confirmation.currency or "XXX")
    if not part:
        raise InvalidAmount(f"A part that is taken back is more than nothing, not {amount!r}.")
    return part


def _write(confirmation: Confirmation, wish: Wish, *, taken: int | None, partial: bool, now: datetime) -> Reversed:
    """Write the reversal, what it changes, its event and what is owed."""
    reversal = Reversal(
        confirmation=confirmation,
        reason=wish.reason,
        note=wish.note,
        amount_micros=taken,
        partial=partial,
        created_at=now,
        created_by=wish.by,
    )
    reversal.save(force_insert=True)
    reversed_at = None if partial else now
    confirmation.reversed_micros += taken or 0
    Confirmation.objects.using(_alias()).filter(pk=confirmation.pk).update(
        reversed_at=reversed_at, reversed_micros=F("reversed_micros") + (taken or 0)
    )
    confirmation.reversed_at = reversed_at
    if not partial:
        _date_anew(confirmation.hit)
    event = log.append(reversal_entry(reversal))
    outbox.owe_reversal(reversal, event)
    _tell_after_commit(reversal)
    return Reversed(reason=ReversalOutcome.REVERSED, confirmation=confirmation, reversal=reversal)


def _date_anew(hit: ReferralHit) -> None:
    """Give the hit the time of its first confirmation that still stands (N-13)."""
    standing = Confirmation.objects.using(_alias()).filter(hit=hit, reversed_at__isnull=True)
    hit.confirmed_at = standing.aggregate(first=Min("occurred_at"))["first"]
    ReferralHit.objects.using(_alias()).filter(pk=hit.pk).update(confirmed_at=hit.confirmed_at)


def _tell_after_commit(reversal: Reversal) -> None:
    confirmation = reversal.confirmation

    # A function with a name: Django logs the `__qualname__` of a hook that fails.
    def tell_host() -> None:
        signals.referral_reversed.send_robust(
            Confirmation,
            confirmation=confirmation,
            reversal=reversal,
            hit=confirmation.hit,
            visitor=confirmation.visitor,
            user=confirmation.user,
            trigger=confirmation.trigger,
        )

    transaction.on_commit(tell_host, using=_alias(), robust=True)


def _alias() -> str:
    return router.db_for_write(Confirmation)
