"""Money: decimal amounts, kept as whole millionths, with an ISO 4217 currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import cache

from iso4217 import Currency

from livereferrals.exceptions import InvalidAmount

MICROS = 1_000_000
MAX_INTEGER_DIGITS = 12
CONTEXT = Context(prec=40)
"""Wide enough that no amount is rounded by arithmetic, whatever the host's own decimal context."""


@cache
def currency_digits(code: str) -> int:
    """Return how many decimals the currency has: 2 for EUR, 0 for JPY, 3 for KWD (ISO 4217).

    Raises:
        InvalidAmount: there is no such currency.
    """
    try:
        return Currency(code).exponent or 0
    except ValueError as error:
        raise InvalidAmount(f"{code!r} is no ISO 4217 currency code.") from error


def parse_currency(value: object) -> str:
    """Return the upper-case code.

    Raises:
        InvalidAmount: it is not one of ISO 4217.
    """
    if not isinstance(value, str):
        raise InvalidAmount(f"A currency is three letters of ISO 4217, not {value!r}.")
    code = value.strip().upper()
    currency_digits(code)
    return code


def parse_amount(value: object, currency: str) -> int:
    """Return the amount in whole millionths, rounded half-even to the currency's digits.

    Raises:
        TypeError: a float, whose last digits are an accident, or no number at all.
        InvalidAmount: not finite, negative, more than 12 digits before the point, or text that is no number.
    """
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError(f"An amount is a Decimal, an int or text, not {type(value).__name__}.")
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise InvalidAmount(f"{value!r} is no number.") from error
    if not amount.is_finite() or amount < 0:
        raise InvalidAmount(f"An amount is finite and not negative, not {value!r}.")
    if amount and amount.adjusted() >= MAX_INTEGER_DIGITS:
        raise InvalidAmount(f"An amount has at most {MAX_INTEGER_DIGITS} digits before the point, not {value!r}.")
    unit = Decimal(1).scaleb(-currency_digits(currency))
    rounded = amount.quantize(unit, rounding=ROUND_HALF_EVEN, context=CONTEXT)
    if rounded.adjusted() >= MAX_INTEGER_DIGITS and rounded:
        raise InvalidAmount(f"An amount has at most {MAX_INTEGER_DIGITS} digits before the point, not {value!r}.")
    return int(CONTEXT.multiply(rounded, Decimal(MICROS)))


def from_micros(micros: int) -> Decimal:
    """Return millionths as a decimal, exactly."""
    return Decimal(micros).scaleb(-6, context=CONTEXT)


def canonical_amount(micros: int | None, currency: str) -> str | None:
    """Return the amount with a dot and the currency's digits: `12.50`, JPY `1250`, KWD `1.250`."""
    if micros is None:
        return None
    unit = Decimal(1).scaleb(-currency_digits(currency))
    return format(from_micros(micros).quantize(unit, context=CONTEXT), "f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in whole millionths of its currency, or none."""

    micros: int | None = None
    currency: str = ""

    def __str__(self) -> str:
        return f"{canonical_amount(self.micros, self.currency)} {self.currency}" if self.currency else "no amount"


NO_MONEY = Money()


def parse_money(amount: object, currency: object, *, default: str | None) -> Money:
    """Return the amount in its currency, else in the default one; no amount is no money, whatever the currency.

    Raises:
        TypeError: the amount is a float, or no number at all.
        InvalidAmount: the amount cannot be stored, the currency is unknown, or there is none (N-07).
    """
    if amount is None:
        return NO_MONEY
    named = currency or default
    if not named:
        raise InvalidAmount("An amount needs a currency: give one, or set LIVEREFERRALS['DEFAULT_CURRENCY'].")
    code = parse_currency(named)
    return Money(micros=parse_amount(amount, code), currency=code)
