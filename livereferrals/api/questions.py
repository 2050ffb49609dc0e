"""Asking which hit would be credited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from livereferrals import setting_types
from livereferrals.api import given
from livereferrals.triggers import confirming
from livereferrals.triggers.declaration import UNSET, Unset

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from decimal import Decimal

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralHit, Visitor
    from livereferrals.triggers.confirming import Result


def attribute(
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
    at: datetime | None = None,
    rule: str | None = None,
    window: timedelta | Unset | None = UNSET,
) -> Result:
    """Say which hit `confirm` would credit, with the trace, without writing anything (A-12).

    Takes what `confirm` takes, and besides:

    Args:
        trigger: the trigger's name in the settings.
        request: where it happened.
        visitor: the browser, or its token.
        user: who converted.
        hit: the hit to credit.
        reference: what makes the conversion unique.
        amount: what it was worth.
        currency: its ISO 4217 currency.
        occurred_at: when it happened.
        extra: JSON for your staff.
        at: the time to ask for; default: `occurred_at`, else now.
        rule: `last_click`, `first_click` or the dotted path of your own; default: as the trigger or the settings say.
        window: how old a hit may be, `None` for no limit; default: as the trigger or the settings say.

    Raises:
        TypeError: as `confirm`.
        ValueError: as `confirm`, and for a rule that is none.
    """
    who = given.subject(request=request, visitor=visitor, user=user, hit=hit)
    what = given.conversion(
        trigger, reference=reference, amount=amount, currency=currency, occurred_at=at or occurred_at, extra=extra
    )
    if rule is not None:
        setting_types.rule(rule)
    asked = confirming.question(what.trigger, at=what.occurred_at, rule=rule, window=window)
    return confirming.examine(what, who, asked=asked)


async def aattribute(
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
    at: datetime | None = None,
    rule: str | None = None,
    window: timedelta | Unset | None = UNSET,
) -> Result:
    """Async form of `attribute`."""
    return await sync_to_async(attribute)(
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
        at=at,
        rule=rule,
        window=window,
    )
