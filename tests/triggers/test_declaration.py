"""How triggers are declared."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import livereferrals.triggers
from livereferrals.triggers import Trigger, receivers
from livereferrals.triggers.declaration import UNSET, read_entry

TUPLE = ("User registered", "django.db.models.signals.post_save", "livereferrals.triggers.object_created", "auth.User")
TRIGGER = Trigger(TUPLE[0], signal=TUPLE[1], receiver=TUPLE[2], sender=TUPLE[3])

BARE = """
import sys
from livereferrals.triggers import Trigger
Trigger("Order paid", signal="shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent")
loaded = [name for name in sys.modules if name.startswith("django.db") or name.endswith(".models")]
assert not loaded, loaded
"""


def test_a_settings_file_can_import_trigger_before_there_are_settings() -> None:
    """S-01: a bare interpreter, without settings and apps, and no model is loaded."""
    subprocess.run([sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{BARE}"], check=True)  # noqa: S603 - our own text


@pytest.mark.parametrize("entry", [TRIGGER, TUPLE, list(TUPLE)], ids=["Trigger", "tuple", "list"])
def test_a_trigger_and_four_items_mean_the_same(entry: object) -> None:
    """S-01: a list of four is a tuple."""
    assert read_entry(entry) == TRIGGER


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "text",
        TUPLE[:3],
        (*TUPLE, "more"),
        {"name": "x"},
        ("", *TUPLE[1:]),
        ("x" * 101, *TUPLE[1:]),
        (7, *TUPLE[1:]),
    ],
    ids=repr,
)
def test_what_is_neither_says_what_is_expected(entry: object) -> None:
    """S-01, S-11: neither a `Trigger` nor four items, or without a name of 1 to 100 characters."""
    with pytest.raises(ValueError, match=r"expected a Trigger|name is text"):
        read_entry(entry)


def test_a_name_may_be_in_any_language() -> None:
    """S-11: text of up to 100 characters."""
    name = "Заказ оплачен ✓".ljust(100, "ж")
    assert read_entry((name, *TUPLE[1:])).name == name


def test_a_trigger_says_only_what_it_is_given() -> None:
    """S-14: everything else is left to the settings."""
    trigger = Trigger("Order paid", signal="x.y", receiver="x.z")
    assert (trigger.enabled, trigger.once, trigger.window, trigger.sender) == (True, None, UNSET, None)
    assert str(trigger) == "Order paid"
    assert str(Trigger("Order paid", signal="x.y", receiver="x.z", label="Paid")) == "Paid"


@pytest.mark.parametrize("name", ["object_created", "object_saved", "signal_sent", "complete_trigger"])
def test_the_receivers_come_from_the_package(name: str) -> None:
    """S-03: the public path of each."""
    assert getattr(livereferrals.triggers, name) is getattr(receivers, name)
    assert name in dir(livereferrals.triggers)
    assert name in livereferrals.triggers.__all__


def test_an_unknown_name_is_no_receiver() -> None:
    """S-03: a typing mistake is an AttributeError, as for any module."""
    module: Any = livereferrals.triggers
    with pytest.raises(AttributeError, match="object_creatd"):
        _ = module.object_creatd
