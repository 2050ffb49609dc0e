"""The check of triggers' paths: one that leads nowhere would confirm nothing, and say so to the log alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.apps.registry import Apps

from livereferrals.checks import paths, triggers
from livereferrals.triggers import Trigger
from tests.shop.models import Order

if TYPE_CHECKING:
    from django.core.checks import CheckMessage
    from pytest_django import Settings

ORDER: dict[str, Any] = {
    "signal": "tests.shop.signals.order_paid",
    "receiver": "livereferrals.triggers.signal_sent",
    "sender": "shop.Order",
}


def found(settings: Settings, **options: Any) -> list[CheckMessage]:
    trigger = Trigger("Order paid", **ORDER | options)
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [trigger]}
    return triggers.check_triggers()


@pytest.mark.parametrize(
    ("options", "step", "hint"),
    [
        ({"user": "student"}, "shop.Order has no 'student'", 'Did you mean user="customer"?'),
        ({"reference": "nomber"}, "shop.Order has no 'nomber'", 'Did you mean reference="number"?'),
        ({"amount": "totl"}, "shop.Order has no 'totl'", 'Did you mean amount="total"?'),
        ({"currency": "kurrency"}, "shop.Order has no 'kurrency'", 'Did you mean currency="currency"?'),
        ({"amount": "zzzz"}, "shop.Order has no 'zzzz'", "shop.Order has: id, customer, number"),
        ({"reference": "customer.usrname"}, "auth.User has no 'usrname'", 'reference="customer.username"'),
    ],
    ids=str,
)
def test_a_path_that_the_senders_model_does_not_know_is_told(
    settings: Settings, options: dict[str, str], step: str, hint: str
) -> None:
    """W015, S-12: with what is meant, and how to write an argument of the signal"""
    (message,) = found(settings, **options)
    ((name, path),) = options.items()
    assert message.id == "livereferrals.W015"
    assert f"LIVEREFERRALS['TRIGGERS'][0]: {name}={path!r} of 'Order paid': {step}" in message.msg
    assert hint in str(message.hint)
    assert f'{name}="kwargs.' in str(message.hint)


@pytest.mark.parametrize(
    "options",
    [
        {"user": "customer", "reference": "pk", "amount": "total", "currency": "EUR"},
        {"user": "customer.pk", "reference": "customer.logentry_set.anything", "amount": "get_deferred_fields.x"},
        {"reference": "customer_id", "amount": "kwargs.total", "currency": str.upper},
        {"user": "nobody", "sender": None},
        {"user": "nobody", "sender": "tests.test_checks_paths.ORDER"},
        {"user": "nobody", "receiver": "tests.test_checks_paths.found"},
    ],
    ids=["fields", "beyond what is known", "elsewhere", "anybody", "no model", "a receiver of the host's"],
)
def test_a_path_that_may_be_right_is_passed_over(settings: Settings, options: dict[str, Any]) -> None:
    """W015: reverse relations, methods, arguments, functions, constants, and what only the host knows"""
    assert found(settings, **options) == []


APART = Apps()
"""Django shall not know these models: it would make permissions for them when a test flushes the database."""


class Loose(Order):
    """A model that knows more than its class says."""

    noted: str

    class Meta:
        app_label = "shop"
        apps = APART
        proxy = True


class Boundless(Loose):
    """A model that knows every name."""

    def __getattr__(self, name: str) -> str:
        return name

    class Meta:
        app_label = "shop"
        apps = APART
        proxy = True


def test_what_a_class_cannot_say_is_not_judged() -> None:
    """W015: attributes that are only annotated, and classes that find attributes by themselves"""
    assert paths.lost_step(Loose, "noted") is None
    assert paths.lost_step(Loose, "unnoted") is not None
    assert paths.lost_step(Boundless, "anything.at.all") is None
