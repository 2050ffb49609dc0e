"""What has been confirmed before and stands in the way: the reference, or the person (S-31, 4, 5 and 7)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Case, F, Q, Value, When

from livereferrals.tracking.amounts import Money
from livereferrals.tracking.models import Confirmation
from livereferrals.tracking.reasons import Reason

if TYPE_CHECKING:
    from livereferrals.tracking.models import ReferralHit
    from livereferrals.triggers.conversions import Conversion
    from livereferrals.triggers.subjects import Subject

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A confirmation that stands in the way."""

    reason: Reason
    confirmation: Confirmation


def find(conversion: Conversion, subject: Subject | None, *, hit: ReferralHit | None = None) -> Earlier | None:
    """Return what stands in the way, the reference's first. At most one query.

    Args:
        conversion: what happened.
        subject: who it was; nobody can have confirmed before.
        hit: the hit that was to be credited, whose browser has perhaps confirmed.
    """
    reference = conversion.reference
    in_the_way = None if reference is None else Q(reference=reference)
    if conversion.once and subject is not None:
        person = _same_person(subject, hit=hit)
        in_the_way = person if in_the_way is None else in_the_way | person
    if in_the_way is None:
        return None
    is_reference = Q(pk__in=()) if reference is None else Q(reference=reference)
    found = (
        Confirmation.objects.filter(in_the_way, trigger=conversion.trigger.name)
        # The reference goes before the person; of a person's what stands goes before what was taken back.
        .order_by(
            Case(When(is_reference, then=Value(0)), default=Value(1)), F("reversed_at").asc(nulls_first=True), "id"
        )
        .first()
    )
    return None if found is None else _judged(found, conversion)


def _judged(found: Confirmation, conversion: Conversion) -> Earlier | None:
    """Say how the confirmation stands in the way; what was reversed lets another reference through (N-11)."""
    if conversion.reference is None:
        return Earlier(reason=Reason.ALREADY_CONFIRMED, confirmation=found)
    if found.reference == conversion.reference:
        _tell_other_amount(conversion, found)
        reason = Reason.DUPLICATE_REFERENCE if found.reversed_at is None else Reason.ALREADY_REVERSED
        return Earlier(reason=reason, confirmation=found)
    return Earlier(reason=Reason.ALREADY_CONFIRMED, confirmation=found) if found.reversed_at is None else None


def _same_person(subject: Subject, *, hit: ReferralHit | None) -> Q:
    """Match the confirmations of the user and of this browser; a claim gives a browser's to its user (S-44, C-17)."""
    person = subject.person
    visitors = {visitor.pk for visitor in (person.visitor, hit.visitor if hit else None) if visitor is not None}
    same = Q(visitor_id__in=visitors)
    return same if person.user_pk is None else same | Q(user_id=person.user_pk)


def _tell_other_amount(conversion: Conversion, earlier: Confirmation) -> None:
    """Log that a repeat names another amount; the first one stays (N-04)."""
    before = Money(micros=earlier.amount_micros, currency=earlier.currency)
    if conversion.money.micros is None or conversion.money == before:
        return
    logger.warning(
        "Confirmation %s stays at %s; a repeat of its reference says %s.",
        earlier.pk,
        before,
        conversion.money,
        extra={"action": "confirmation.other-amount", "confirmation": str(earlier.pk)},
    )
