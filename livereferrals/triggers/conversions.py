"""A conversion: what happened, before anybody knows whom it is credited to."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django.utils import timezone

from livereferrals import conf
from livereferrals.exceptions import InvalidAmount
from livereferrals.tracking.amounts import NO_MONEY, Money, parse_money
from livereferrals.tracking.models import Origin

if TYPE_CHECKING:
    from livereferrals.triggers.declaration import Trigger

logger = logging.getLogger(__name__)

MAX_REFERENCE: Final = 200
MAX_EXTRA_BYTES: Final = 4096
BAD_AMOUNT: Final = "bad-amount"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What happened: a trigger's success, perhaps with a reference and money."""

    trigger: Trigger
    occurred_at: datetime
    reference: str | None = None
    money: Money = NO_MONEY
    problem: str = ""
    extra: Any = None
    origin: Origin = Origin.WEB

    @property
    def once(self) -> bool:
        """Whether a person does it once only: as the trigger says, else when there is no reference (S-40)."""
        return self.reference is None if self.trigger.once is None else self.trigger.once


def read_reference(value: object) -> str | None:
    """Return the reference as text; empty text and `None` are none (N-03).

    Raises:
        TypeError: it is neither text nor a number nor a UUID.
        ValueError: it is longer than 200 characters, or no database can hold it.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal, uuid.UUID)):
        raise TypeError(f"A reference is text, a number or a UUID, not {type(value).__name__}.")
    text = str(value)
    if len(text) > MAX_REFERENCE:
        raise ValueError(f"A reference has at most {MAX_REFERENCE} characters, not {len(text)}.")
    if "\x00" in text:
        raise ValueError("A reference has no NUL characters.")
    text.encode()  # half of a surrogate pair is a ValueError too
    return text


def read_time(value: object) -> datetime:
    """Return the time of the conversion: now, unless it is given; a naive time is of the project's zone.

    It is aware, unless the project does without (`USE_TZ`, N-17): its database takes naive times alone.

    Raises:
        TypeError: it is not a datetime.
    """
    now = timezone.now()
    if value is None:
        return now
    if not isinstance(value, datetime):
        raise TypeError(f"A time is a datetime, not {type(value).__name__}.")
    if timezone.is_naive(now):
        return value if timezone.is_naive(value) else timezone.make_naive(value)
    return timezone.make_aware(value) if timezone.is_naive(value) else value


def read_extra(value: Any) -> Any:
    """Return what the host attaches (N-16).

    Raises:
        TypeError: it is not JSON.
        ValueError: it is larger than 4 KB.
    """
    if value is None:
        return None
    size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    if size > MAX_EXTRA_BYTES:
        raise ValueError(f"extra is JSON of at most {MAX_EXTRA_BYTES} bytes, not {size}.")
    return value


def read_money(amount: object, currency: object) -> Money:
    """Return the amount in its currency, or in the project's (N-05 to N-07).

    Raises:
        TypeError: a float, or no number at all.
        InvalidAmount: it cannot be stored, or has no currency.
    """
    return parse_money(amount, currency, default=conf.settings.DEFAULT_CURRENCY)


def read_money_or_drop(trigger: Trigger, amount: object, currency: object) -> tuple[Money, str]:
    """Return the amount and no problem; or, because a sale is not lost for its number, none and `bad-amount` (N-06)."""
    try:
        return read_money(amount, currency), ""
    except (InvalidAmount, TypeError) as error:
        logger.warning(
            "Trigger %s confirms without its amount: %s",
            trigger.name,
            error,
            extra={"action": "trigger.bad-amount", "trigger": trigger.name},
        )
        return NO_MONEY, BAD_AMOUNT
