"""The receivers that a trigger can name, and `complete_trigger` for receivers of the host's own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import catalogue, confirming, firings, mapping, subjects
from livereferrals.triggers.conversions import (
    Conversion,
    read_extra,
    read_money_or_drop,
    read_reference,
    read_time,
)

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import Visitor
    from livereferrals.triggers.confirming import Result
    from livereferrals.triggers.declaration import Trigger
    from livereferrals.triggers.subjects import Subject

logger = logging.getLogger(__name__)


def object_created(sender: Any, *, trigger: Trigger, created: bool = False, raw: bool = False, **sent: Any) -> Any:
    """Confirm when a row was made; not for fixtures (S-20). For `post_save`."""
    return _fire(sender, trigger, sent) if created and not raw else None


def object_saved(sender: Any, *, trigger: Trigger, raw: bool = False, **sent: Any) -> Any:
    """Confirm at each save; not for fixtures (S-20). For `post_save`."""
    return None if raw else _fire(sender, trigger, sent)


def signal_sent(sender: Any, *, trigger: Trigger, **sent: Any) -> Result:
    """Confirm each time that the signal is sent."""
    return _fire(sender, trigger, sent)


def complete_trigger(
    request: HttpRequest | None,
    name: str,
    *,
    user: AbstractBaseUser | AnonymousUser | None = None,
    visitor: Visitor | str | None = None,
    reference: object = None,
    amount: object = None,
    currency: str | None = None,
    occurred_at: datetime | None = None,
    extra: Any = None,
) -> Result:
    """Confirm a trigger from a receiver of your own; a "no" is a result with its reason (S-30, S-31).

    In the host's transaction, where there is one.

    Args:
        request: where it happened; `None`: the request that is being answered, if any.
        name: the trigger's name in the settings.
        user: who converted; else the logged-in user of the request, else its visitor.
        visitor: the browser that converted, or `request.referral.token()` of an earlier request.
        reference: what makes the conversion unique, such as an order's number; a repeat confirms nothing.
        amount: what it was worth: a `Decimal`, an `int` or text. One that cannot be stored is dropped and logged.
        currency: its ISO 4217 currency; default: `DEFAULT_CURRENCY`.
        occurred_at: when it happened; default: now.
        extra: JSON of at most 4 KB for your staff.
    """
    at = read_time(occurred_at)
    trigger = catalogue.named(name)

    def decide() -> Result:
        refused = confirming.refused_by(trigger, at=at)
        if refused is not None:
            return refused
        try:
            text = read_reference(reference)
            subject = subjects.find(request=request, user=user, visitor=visitor)
        except (TypeError, ValueError) as error:
            return _unmapped(trigger, error, at=at)
        money, problem = read_money_or_drop(trigger, amount, currency)
        conversion = Conversion(
            trigger=trigger, occurred_at=at, reference=text, money=money, problem=problem, extra=read_extra(extra)
        )
        return confirming.confirm(conversion, subject)

    return firings.watched(trigger, complete_trigger, decide)


def _fire(sender: Any, trigger: Trigger, arguments: dict[str, Any]) -> Result:
    return firings.watched(trigger, trigger.receiver, lambda: _decide(sender, trigger, arguments))


def _decide(sender: Any, trigger: Trigger, arguments: dict[str, Any]) -> Result:
    """Confirm for a signal; where nobody is known it costs no query (S-27)."""
    at = read_time(None)
    refused = confirming.refused_by(trigger, at=at)
    if refused is not None:
        return refused
    sent = mapping.sent(sender, arguments)
    if not mapping.holds(trigger, sent=sent):
        return confirming.refuse(trigger, Reason.CONDITION, at=at)
    try:
        values = mapping.values(trigger, sent=sent)
        reference = read_reference(values.reference)
        subject = _subject(sent, user=values.user)
    except (mapping.Unmapped, TypeError, ValueError) as error:
        return _unmapped(trigger, error, at=at)
    if subject is None:
        return confirming.refuse(trigger, Reason.NO_SUBJECT, at=at)
    money, problem = read_money_or_drop(trigger, values.amount, values.currency)
    conversion = Conversion(trigger=trigger, occurred_at=at, reference=reference, money=money, problem=problem)
    return confirming.confirm(conversion, subject)


def _subject(sent: mapping.Sent, *, user: Any) -> Subject | None:
    """Return who converted: the trigger's user, a saved user itself, or the request's; a sent request is the request."""
    request = sent.arguments.get("request")
    return subjects.find(request=request, mapped=user, created=sent.instance)


def _unmapped(trigger: Trigger, error: Exception, *, at: datetime) -> Result:
    logger.warning(
        "Trigger %s confirms nothing: %s",
        trigger.name,
        error,
        extra={"action": "trigger.bad-mapping", "trigger": trigger.name},
    )
    return confirming.refuse(trigger, Reason.BAD_MAPPING, at=at)
