"""The public functions: record a hit, confirm, and ask who would get it, without HTTP and without signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from livereferrals.tracking import recording
from livereferrals.tracking.models import Origin
from livereferrals.triggers import catalogue, confirming, subjects
from livereferrals.triggers.confirming import Result
from livereferrals.triggers.conversions import Conversion, read_extra, read_money, read_reference, read_time
from livereferrals.triggers.declaration import UNSET, Unset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralHit, ReferralLink, Visitor
    from livereferrals.triggers.subjects import Subject

__all__ = ["Result", "aattribute", "aconfirm", "arecord_hit", "attribute", "confirm", "record_hit"]


def record_hit(
    link: ReferralLink,
    *,
    visitor: Visitor | None = None,
    user: AbstractBaseUser | None = None,
    occurred_at: datetime | None = None,
    entry_url: str = "",
    user_agent: str = "",
    referer: str = "",
    ip: str | None = None,
    click_id: str = "",
    subs: Sequence[str] = (),
) -> ReferralHit:
    """Record a hit without HTTP, for a link that was followed elsewhere. One transaction.

    Args:
        link: the link that was followed.
        visitor: who followed; `None` makes a new visitor.
        user: the logged-in user who followed.
        occurred_at: when; default: now.
        entry_url: the page that it led to.
        user_agent: the browser's name.
        referer: the page that it came from.
        ip: the address, kept as the setting `IP` says.
        click_id: the partner's own id of the click.
        subs: up to five sub-ids.
    """
    return recording.record_hit(
        link,
        visitor=visitor,
        user=user,
        now=read_time(occurred_at),
        entry_url=entry_url,
        user_agent=user_agent,
        referer=referer,
        ip=ip,
        click_id=click_id,
        subs=subs,
        origin=Origin.API,
    )


async def arecord_hit(
    link: ReferralLink,
    *,
    visitor: Visitor | None = None,
    user: AbstractBaseUser | None = None,
    occurred_at: datetime | None = None,
    entry_url: str = "",
    user_agent: str = "",
    referer: str = "",
    ip: str | None = None,
    click_id: str = "",
    subs: Sequence[str] = (),
) -> ReferralHit:
    """Async form of `record_hit`."""
    return await sync_to_async(record_hit)(
        link,
        visitor=visitor,
        user=user,
        occurred_at=occurred_at,
        entry_url=entry_url,
        user_agent=user_agent,
        referer=referer,
        ip=ip,
        click_id=click_id,
        subs=subs,
    )


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

    In the caller's transaction, where there is one. A "no" is a result with its reason.

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
    subject = _subject(request=request, visitor=visitor, user=user, hit=hit)
    conversion = _conversion(
        trigger, reference=reference, amount=amount, currency=currency, occurred_at=occurred_at, extra=extra
    )
    return confirming.confirm(conversion, subject)


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
        rule: `last_click` or `first_click`; default: as the trigger or the settings say.
        window: how old a hit may be, `None` for no limit; default: as the trigger or the settings say.

    Raises:
        TypeError: as `confirm`.
        ValueError: as `confirm`.
    """
    subject = _subject(request=request, visitor=visitor, user=user, hit=hit)
    conversion = _conversion(
        trigger, reference=reference, amount=amount, currency=currency, occurred_at=at or occurred_at, extra=extra
    )
    asked = confirming.question(conversion.trigger, at=conversion.occurred_at, rule=rule, window=window)
    return confirming.examine(conversion, subject, asked=asked)


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


def _subject(
    *,
    request: HttpRequest | None,
    visitor: Visitor | str | None,
    user: AbstractBaseUser | AnonymousUser | None,
    hit: ReferralHit | None,
) -> Subject | None:
    """Return the subject of exactly one kind, or of a request with its user."""
    given = [name for name, value in {"visitor": visitor, "user": user, "hit": hit}.items() if value is not None]
    if len(given) > 1 or (not given and request is None) or (request is not None and given not in ([], ["user"])):
        raise TypeError("Give exactly one of request, visitor, user and hit, or request together with user.")
    if hit is not None:
        return subjects.of_hit(hit)
    return subjects.find(request=request, user=user, visitor=visitor)


def _conversion(
    name: str,
    *,
    reference: object,
    amount: object,
    currency: str | None,
    occurred_at: datetime | None,
    extra: Any,
) -> Conversion:
    return Conversion(
        trigger=catalogue.named(name),
        occurred_at=read_time(occurred_at),
        reference=read_reference(reference),
        money=read_money(amount, currency),
        extra=read_extra(extra),
        origin=Origin.API,
    )
