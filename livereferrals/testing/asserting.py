"""Assertions that say, when they fail, what was decided instead."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import router

from livereferrals.tracking.amounts import canonical_amount
from livereferrals.tracking.models import Confirmation
from livereferrals.triggers.firings import recorder

if TYPE_CHECKING:
    from collections.abc import Mapping

REASON_UNKNOWN = "the trigger has not fired in this test: was the signal sent, and is the trigger in the settings?"


def assert_confirmed(trigger: str, **expected: Any) -> Confirmation:
    """Return the newest confirmation of the trigger that has these values.

    Args:
        trigger: its name as in the settings.
        expected: `user`, `partner`, `link`, `reference`, `amount` (a `Decimal`, an `int` or text) and `currency`; other
            fields of `Confirmation` with Django's look-ups.

    Raises:
        AssertionError: there is none; the message says what there is, and what the trigger decided.
    """
    found = _confirmations(trigger)
    confirmation: Confirmation | None = found.filter(**_lookups(expected)).order_by("pk").last()
    if confirmation is None:
        raise AssertionError(f"{trigger!r} has confirmed nothing with {_words(expected)}.{_instead(trigger)}")
    return confirmation


def assert_not_confirmed(trigger: str, *, reason: str | None = None, **expected: Any) -> None:
    """Check that the trigger has confirmed nothing that has these values.

    Args:
        trigger: its name as in the settings.
        reason: why not, a value of `livereferrals.tracking.reasons.Reason` such as `"no-hits"`; then the trigger must have fired, and the last decision been this one.
        expected: as for `assert_confirmed`.

    Raises:
        AssertionError: it has, or for another reason.
    """
    confirmation = _confirmations(trigger).filter(**_lookups(expected)).order_by("pk").last()
    if confirmation is not None:
        raise AssertionError(f"{trigger!r} has confirmed {confirmation}, reference {confirmation.reference!r}.")
    if reason is None:
        return
    decided = _decisions(trigger)
    if not decided or decided[-1] != reason:
        raise AssertionError(f"Expected the reason {reason!r}; {_told(decided)}")


def _confirmations(trigger: str) -> Any:
    rows = Confirmation.objects.using(router.db_for_write(Confirmation))
    return rows.select_related("partner", "hit__link").filter(trigger=trigger)


def _lookups(expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a host names in the words of the tables: amounts are kept in millionths, links on the hit."""
    lookups = dict(expected)
    if "amount" in lookups:
        lookups["amount_micros"] = int(Decimal(lookups.pop("amount")).scaleb(6))
    if "link" in lookups:
        lookups["hit__link"] = lookups.pop("link")
    return lookups


def _decisions(trigger: str) -> list[str]:
    """Return what the trigger decided in this test, oldest first."""
    return [firing.reason for firing in recorder.waiting() if firing.trigger == trigger]


def _instead(trigger: str) -> str:
    """Return what there is instead; a confirmation counts as decided only after its commit, so it stands for itself."""
    others = [
        f"reference={row.reference!r}, amount={canonical_amount(row.amount_micros, row.currency)}"
        f", currency={row.currency!r}, user={row.user_id!r}"
        for row in _confirmations(trigger).order_by("pk")[:5]
    ]
    decided = _decisions(trigger)
    if not others:
        return f" It decided: {_told(decided)}"
    return f" There are: {'; '.join(others)}." + (f" It decided besides: {_told(decided)}" if decided else "")


def _told(decided: list[str]) -> str:
    return f"{', '.join(decided)} (oldest first)." if decided else REASON_UNKNOWN


def _words(expected: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in expected.items()) or "any values"
