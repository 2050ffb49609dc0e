"""Confirming without a signal: one conversion, or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.db import router, transaction

from livereferrals.api import given
from livereferrals.tracking.models import Confirmation
from livereferrals.triggers import confirming, firings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralHit, Visitor
    from livereferrals.triggers.confirming import Result


def confirm(
    trigger: str,
    *,
    request: HttpRequest | None = None,
    visitor: Visitor | str | None = None,
    user: AbstractBaseUser | AnonymousUser | None = None,
    hit: ReferralHit | None = None,
    reference: object = None,
    amount: Decimal | int | str | None = None,
    currency: str | None = None,
    occurred_at: datetime | None = None,
    extra: Any = None,
) -> Result:
    """Confirm a trigger for a request, a visitor, a user or a hit; idempotent by `reference` (N-01).

    In the caller's transaction, where there is one. A "no" is a result with its reason, and stands in the inspector as
    the decisions of triggers do.

    Args:
        trigger: the trigger's name in the settings.
        request: where it happened; its logged-in user, else its visitor.
        visitor: the browser, or `request.referral.token()` of an earlier request.
        user: who converted; may come with `request`.
        hit: the hit to credit, without a choice.
        reference: what makes the conversion unique, such as an order's number.
        amount: what it was worth.
        currency: its ISO 4217 currency; default: `DEFAULT_CURRENCY`.
        occurred_at: when it happened; default: now.
        extra: JSON of at most 4 KB for your staff.

    Raises:
        TypeError: not exactly one of `request`, `visitor`, `user` and `hit`, or a value of the wrong type, such as a float.
        ValueError: an amount, a currency, a reference or an `extra` that cannot be stored.
    """
    who = given.subject(request=request, visitor=visitor, user=user, hit=hit)
    what = given.conversion(
        trigger, reference=reference, amount=amount, currency=currency, occurred_at=occurred_at, extra=extra
    )
    return firings.watched(what.trigger, confirm, lambda: confirming.confirm(what, who))


async def aconfirm(
    trigger: str,
    *,
    request: HttpRequest | None = None,
    visitor: Visitor | str | None = None,
    user: AbstractBaseUser | AnonymousUser | None = None,
    hit: ReferralHit | None = None,
    reference: object = None,
    amount: Decimal | int | str | None = None,
    currency: str | None = None,
    occurred_at: datetime | None = None,
    extra: Any = None,
) -> Result:
    """Async form of `confirm`."""
    return await sync_to_async(confirm)(
        trigger=trigger,
        request=request,
        visitor=visitor,
        user=user,
        hit=hit,
        reference=reference,
        amount=amount,
        currency=currency,
        occurred_at=occurred_at,
        extra=extra,
    )


def confirm_many(trigger: str, conversions: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Confirm a trigger many times in one transaction: for rows that were written without signals (S-56).

        api.confirm_many("Order paid", ({"user": order.customer, "reference": order.number} for order in orders))

    Each conversion is what `confirm` takes besides the trigger. A "no" is a result, and the others go on; an error undoes
    all of them.

    Raises:
        TypeError: as `confirm`.
        ValueError: as `confirm`.
    """
    with transaction.atomic(using=router.db_for_write(Confirmation)):
        return [confirm(trigger, **conversion) for conversion in conversions]


async def aconfirm_many(trigger: str, conversions: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Async form of `confirm_many`."""
    return await sync_to_async(confirm_many)(trigger, conversions)
