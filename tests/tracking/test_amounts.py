"""Money: exact, finite, with a currency."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.exceptions import InvalidAmount
from livereferrals.tracking.amounts import (
    NO_MONEY,
    Money,
    canonical_amount,
    from_micros,
    parse_amount,
    parse_currency,
    parse_money,
)


@pytest.mark.parametrize(
    ("value", "currency", "micros"),
    [
        (Decimal("12.50"), "EUR", 12_500_000),
        (12, "EUR", 12_000_000),
        ("12.5", "EUR", 12_500_000),
        (" 7 ", "EUR", 7_000_000),
        ("1.234", "KWD", 1_234_000),
        (Decimal("999999999999.99"), "EUR", 999_999_999_999_990_000),
        (0, "EUR", 0),
        (Decimal("-0"), "EUR", 0),
        (Decimal("0E+20"), "EUR", 0),
        ("1E-400", "EUR", 0),
        ("1e2", "JPY", 100_000_000),
    ],
)
def test_an_amount_is_kept_in_whole_millionths(value: object, currency: str, micros: int) -> None:
    """N-05, N-06: decimals, whole numbers and text; zero is fine, however it is written."""
    assert parse_amount(value, currency) == micros


@pytest.mark.parametrize(
    ("value", "currency", "micros"),
    [
        ("0.005", "EUR", 0),
        ("0.015", "EUR", 20_000),
        ("0.025", "EUR", 20_000),
        ("12.5", "JPY", 12_000_000),
        ("13.5", "JPY", 14_000_000),
        ("1.2345", "KWD", 1_234_000),
    ],
)
def test_an_amount_finer_than_its_currency_is_rounded_half_even(value: str, currency: str, micros: int) -> None:
    """N-05: once, when it is recorded, so that all channels show what is stored."""
    assert parse_amount(value, currency) == micros


@pytest.mark.parametrize("value", [1.5, float("nan"), True, None, b"1", [1]], ids=repr)
def test_a_float_or_no_number_is_a_type_error(value: object) -> None:
    """N-05: a float's last digits are an accident."""
    with pytest.raises(TypeError, match="Decimal"):
        parse_amount(value, "EUR")


@pytest.mark.parametrize(
    "value",
    [
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        "-Infinity",
        -1,
        Decimal("-0.01"),
        10**12,
        "1E+999999",
        "999999999999.999",
        "twelve",
        "",
        "1,50",
    ],
    ids=str,
)
def test_what_is_no_finite_amount_is_a_value_error(value: object) -> None:
    """N-06: NaN, infinity, negative, more than 12 digits before the point (also after rounding), and no number."""
    with pytest.raises(InvalidAmount):
        parse_amount(value, "EUR")
    assert issubclass(InvalidAmount, ValueError)


def test_a_hosts_own_decimal_context_changes_nothing() -> None:
    """N-05: a host that computes with 6 digits still gets its 14 kept."""
    with localcontext(prec=6):
        assert parse_amount("123456789012.34", "EUR") == 123_456_789_012_340_000
        assert canonical_amount(123_456_789_012_340_000, "EUR") == "123456789012.34"


@given(micros=st.integers(0, 10**18 - 1), currency=st.sampled_from(["JPY", "EUR", "KWD"]))
def test_a_stored_amount_is_read_back_the_same(micros: int, currency: str) -> None:
    """N-05: what is stored is what is shown, exactly."""
    digits = {"JPY": 0, "EUR": 2, "KWD": 3}[currency]
    whole = micros - micros % 10 ** (6 - digits)
    shown = canonical_amount(whole, currency)
    assert shown is not None
    assert parse_amount(shown, currency) == whole
    assert Decimal(shown) == from_micros(whole)


@pytest.mark.parametrize(
    ("micros", "currency", "shown"),
    [(12_500_000, "EUR", "12.50"), (1_250_000_000, "JPY", "1250"), (1_250_000, "KWD", "1.250"), (None, "", None)],
)
def test_an_amount_is_shown_with_the_digits_of_its_currency(micros: int | None, currency: str, shown: str) -> None:
    """N-05: with a dot, and no exponent."""
    assert canonical_amount(micros, currency) == shown


@pytest.mark.parametrize(("value", "code"), [("eur", "EUR"), (" Usd ", "USD"), ("JPY", "JPY")])
def test_a_currency_is_stored_upper_case(value: str, code: str) -> None:
    """N-07: three letters of ISO 4217."""
    assert parse_currency(value) == code


@pytest.mark.parametrize("value", ["ABC", "EURO", "", "€", 978, None, "978"], ids=repr)
def test_what_is_no_currency_is_a_value_error(value: object) -> None:
    """N-07: checked against ISO 4217."""
    with pytest.raises(InvalidAmount):
        parse_currency(value)


def test_money_takes_the_default_currency() -> None:
    """N-07: an amount without a currency takes the default one; its own goes first."""
    assert parse_money(5, None, default="chf") == Money(micros=5_000_000, currency="CHF")
    assert parse_money(5, "EUR", default="CHF") == Money(micros=5_000_000, currency="EUR")


def test_an_amount_without_any_currency_is_a_value_error() -> None:
    """N-07: a sum of nothing in particular cannot be added up."""
    with pytest.raises(InvalidAmount, match="DEFAULT_CURRENCY"):
        parse_money(5, None, default=None)


def test_no_amount_is_no_money_whatever_the_currency() -> None:
    """N-05: a conversion need not be worth anything."""
    assert parse_money(None, "nonsense", default="EUR") == NO_MONEY
    assert (str(NO_MONEY), str(Money(micros=1_000_000, currency="EUR"))) == ("no amount", "1.00 EUR")
