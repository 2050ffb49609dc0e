"""Taking a confirmation back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async

from livereferrals.triggers import reversing, subjects
from livereferrals.triggers.conversions import read_reference

if TYPE_CHECKING:
    import uuid
    from decimal import Decimal

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser

    from livereferrals.tracking.models import Confirmation
    from livereferrals.triggers.reversing import Reversed


def reverse(
    confirmation: Confirmation | uuid.UUID | None = None,
    *,
    trigger: str | None = None,
    reference: object = None,
    reason: str,
    note: str = "",
    amount: Decimal | int | str | None = None,
    by: AbstractBaseUser | AnonymousUser | None = None,
) -> Reversed:
    """Take a confirmation back after a refund, a fraud or a mistake, as a whole or in part (N-08 to N-10).

    In the caller's transaction, where there is one. The partner is told, unless its callback had not begun. Taking back
    twice, or what does not exist, is a result with its reason. A part is taken back each time that it is asked for.

    Args:
        confirmation: the confirmation, or its id; else give `trigger` and `reference`.
        trigger: the trigger's name; it may have left the settings.
        reference: the reference that was confirmed.
        reason: `refund`, `cancelled`, `fraud`, `duplicate`, `mistake` or `other`; the partner sees it.
        note: for your staff alone.
        amount: a part of the amount, in the confirmation's currency; default: all that is left of it.
        by: who took it back.

    Raises:
        TypeError: not exactly one way to name the confirmation, or a value of the wrong type, such as a float.
        ValueError: another reason, or an amount that cannot be stored or is nothing.
    """
    wish = reversing.Wish(reason=reversing.read_reason(reason), note=note, amount=amount, by=subjects.usable_user(by))
    found = reversing.find(confirmation, trigger=trigger, reference=read_reference(reference))
    return reversing.reverse(found, wish)


async def areverse(
    confirmation: Confirmation | uuid.UUID | None = None,
    *,
    trigger: str | None = None,
    reference: object = None,
    reason: str,
    note: str = "",
    amount: Decimal | int | str | None = None,
    by: AbstractBaseUser | AnonymousUser | None = None,
) -> Reversed:
    """Async form of `reverse`."""
    return await sync_to_async(reverse)(
        confirmation, trigger=trigger, reference=reference, reason=reason, note=note, amount=amount, by=by
    )
