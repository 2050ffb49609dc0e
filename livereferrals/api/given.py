"""What callers of the API give: who converted, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from livereferrals.tracking.models import Origin
from livereferrals.triggers import catalogue, subjects
from livereferrals.triggers.conversions import Conversion, read_extra, read_money, read_reference, read_time

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralHit, Visitor
    from livereferrals.triggers.subjects import Subject


def subject(
    *,
    request: HttpRequest | None,
    visitor: Visitor | str | None,
    user: AbstractBaseUser | AnonymousUser | None,
    hit: ReferralHit | None,
) -> Subject | None:
    """Return the subject of exactly one kind, or of a request with its user.

    Raises:
        TypeError: none, or several.
    """
    given = [name for name, value in {"visitor": visitor, "user": user, "hit": hit}.items() if value is not None]
    if len(given) > 1 or (not given and request is None) or (request is not None and given not in ([], ["user"])):
        raise TypeError("Give exactly one of request, visitor, user and hit, or request together with user.")
    if hit is not None:
        return subjects.of_hit(hit)
    return subjects.find(request=request, user=user, visitor=visitor)


def conversion(
    name: str,
    *,
    reference: object,
    amount: object,
    currency: str | None,
    occurred_at: datetime | None,
    extra: Any,
) -> Conversion:
    """Return what happened, read from what the caller has given.

    Raises:
        TypeError: a value of the wrong type, such as a float.
        ValueError: a value that cannot be stored.
    """
    return Conversion(
        trigger=catalogue.named(name),
        occurred_at=read_time(occurred_at),
        reference=read_reference(reference),
        money=read_money(amount, currency),
        extra=read_extra(extra),
        origin=Origin.API,
    )
