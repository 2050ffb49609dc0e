from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.utils import translation

from livereferrals.dashboard import wording
from livereferrals.dashboard.access import Rights
from livereferrals.dashboard.activity import Line
from livereferrals.dashboard.statistics import Numbers

if TYPE_CHECKING:
    from livereferrals.dashboard.rows import EventRow

ALL = Rights(amounts=True)
SOME = Rights(amounts=False)


def row(kind: str, rights: Rights = ALL, **data: object) -> EventRow:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    line = Line(
        seq=7,
        type=kind,
        occurred_at=moment,
        partner="abcd1234",
        link=None,
        link_identifier="spring",
        visitor=None,
        data=data,
    )
    return wording.event_row(line, partner_name="Acme", rights=rights)


@pytest.mark.parametrize(
    ("kind", "data", "text", "tone"),
    [
        ("hit", {"landing": "/pricing/", "repeat": False}, "To /pricing/", "neutral"),
        ("hit", {"landing": None, "repeat": True}, "Again to /", "neutral"),
        ("claim", {"hits": 1}, "1 hit tied to a user", "neutral"),
        ("claim", {"hits": 1200}, "1,200 hits tied to a user", "neutral"),
        ("confirmation", {"trigger": "Order paid", "reference": "A-1"}, "Order paid · A-1", "good"),
        ("confirmation", {"trigger": "Sign-up", "reference": None}, "Sign-up", "good"),
        ("reversal", {"trigger": "Order paid", "reason": "refund", "partial": False}, "Order paid · refund", "warn"),
        ("reversal", {"trigger": "Order paid", "reason": "odd", "partial": True}, "Order paid · odd · in part", "warn"),
        ("delivery", {"outcome": "delivered", "trigger": "T", "status": 200}, "Delivered · T · answer 200", "good"),
        (
            "delivery",
            {"outcome": "failing", "trigger": "T", "status": None},
            "Failing, will be tried again · T",
            "warn",
        ),
        ("delivery", {"outcome": "dead", "trigger": "T"}, "Given up · T", "bad"),
        ("delivery", {"outcome": "paused"}, "Endpoint paused", "warn"),
        ("delivery", {}, "", "neutral"),
    ],
)
def test_events_are_said_in_words(kind, data, text, tone):
    """dashboard.md 2: what happened; state in words, not in colour alone"""
    found = row(kind, **data)
    assert (found.text, found.tone) == (text, tone)
    assert (found.id, found.partner, found.link) == ("event-7", "Acme", "spring")
    assert found.iso == "2026-11-21T00:00:00.000000Z"


def test_amounts_have_the_digits_of_their_currency():
    """dashboard.md 6: JPY 0, KWD 3"""
    assert row("confirmation", amount="1234.50", currency="EUR").amount == "1,234.50\xa0EUR"
    assert row("confirmation", amount="1250", currency="JPY").amount == "1,250\xa0JPY"
    assert row("confirmation", amount="1.250", currency="KWD").amount == "1.250\xa0KWD"
    assert row("confirmation", amount=None, currency=None).amount == ""


def test_amounts_are_for_those_who_may_see_them():
    """dashboard-39"""
    assert row("confirmation", SOME, amount="1234.50", currency="EUR").amount == ""
    numbers = Numbers(hits=1, visitors=1, claims=0, confirmations=0, reversals=0, amounts={"EUR": Decimal(1)})
    assert [counter.key for counter in wording.counters(numbers, rights=SOME)] == [
        "hits",
        "visitors",
        "claims",
        "confirmations",
        "rate",
    ]


def test_numbers_are_raw_and_readable():
    """dashboard.md 3: `data-value` is unformatted"""
    amounts = {"EUR": Decimal("-1234.5"), "JPY": Decimal(7)}
    numbers = Numbers(hits=12345, visitors=8, claims=0, confirmations=1, reversals=0, amounts=amounts)
    found = {counter.key: (counter.raw, counter.text) for counter in wording.counters(numbers, rights=ALL)}
    assert found == {
        "hits": ("12345", "12,345"),
        "visitors": ("8", "8"),
        "claims": ("0", "0"),
        "confirmations": ("1", "1"),
        "amount-EUR": ("-1234.50", "\N{MINUS SIGN}1,234.50\xa0EUR"),
        "amount-JPY": ("7", "7\xa0JPY"),
        "rate": ("0.125000", "12.5%"),
    }


def test_rate_is_rounded_and_not_cut():
    """dashboard-7 Two of three are 66.7 %, not 66.6 %"""
    numbers = Numbers(hits=3, visitors=3, claims=0, confirmations=2, reversals=0, amounts={})
    (rate,) = (counter for counter in wording.counters(numbers, rights=ALL) if counter.key == "rate")
    assert (rate.raw, rate.text) == ("0.666667", "66.7%")


def test_numbers_follow_the_language():
    """dashboard-40"""
    with translation.override("de"):
        assert wording.money(Decimal("1234.5"), "EUR") == "1.234,50\xa0EUR"
