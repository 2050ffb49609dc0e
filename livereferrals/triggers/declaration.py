"""How a trigger is declared in settings. Imports no Django, so that a settings file can import it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import timedelta

MAX_NAME: Final = 100
OLD_RECEIVERS: Final = {
    "affiliations.triggers.object_created": "livereferrals.triggers.object_created",
    "affiliations.triggers.object_saved": "livereferrals.triggers.object_saved",
}
"""Receivers of the older package under their old paths (S-03)."""


class Unset(enum.Enum):
    """Tells "not given" from `None`, which means "no limit"."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET

Source = str | Callable[[Any], Any] | None
"""Where a value comes from, which is a path of attributes, a function, or nowhere."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A rule: when this signal is sent by this sender, confirm.

        Trigger("Order paid", signal="shop.signals.order_paid", sender="shop.Order",
                receiver="livereferrals.triggers.signal_sent",
                user="customer", reference="number", amount="total", currency="currency")

    The values for `user`, `reference`, `amount` and `currency` are read from the signal's `instance`: a path of attributes
    (`"customer"`, `"order.customer"`), or a function of the instance. A path may begin with the name of another argument of
    the signal; `"kwargs.total"` is always the argument `total`. For a signal without `instance`, the one argument that is an
    instance of the sender takes its place; where there is none, a function gets the dict of arguments.
    """

    name: str
    """Stable text of 1 to 100 characters; subscriptions and confirmations hold it."""
    _: KW_ONLY
    signal: object
    """The signal, or its dotted path."""
    receiver: str | Callable[..., Any]
    """What is called, one of `livereferrals.triggers` or a function of your own; the function, or its dotted path."""
    sender: object = None
    """`"app.Model"`, a dotted path, a class, or `None` for any sender."""
    user: Source = None
    """Who converted; else a created user itself, else the logged-in user."""
    reference: Source = None
    """What makes the conversion unique, such as the order's number."""
    amount: Source = None
    """What it was worth, as a `Decimal`, an `int` or text."""
    currency: Source = None
    """Its ISO 4217 currency; three capital letters are the currency itself."""
    condition: Callable[[Any], Any] | None = None
    """A function of the instance; confirms only if it says yes."""
    enabled: bool = True
    """Whether the trigger acts."""
    once: bool | None = None
    """One confirmation for a person; by default so when there is no reference."""
    window: timedelta | Unset | None = UNSET
    """How old a hit may be, with `None` for no limit; by default as `ATTRIBUTION_WINDOW`."""
    attribution: str | None = None
    """Which hit is credited; by default as `ATTRIBUTION`."""
    label: str = ""
    """What the admin shows; by default the name."""
    help: str = ""
    """What the admin says about it."""

    def __str__(self) -> str:
        return self.label or self.name

    def runs_host_code(self) -> bool:
        """Whether reading its values runs code of the host, or queries."""
        sources = (self.condition, self.user, self.reference, self.amount, self.currency)
        return any(source is not None for source in sources)


def read_entry(entry: object) -> Trigger:
    """Return what an entry of the settings declares: a `Trigger`, or name, signal, receiver and sender (S-01).

    Raises:
        ValueError: it is neither, or has no usable name.
    """
    if not isinstance(entry, Trigger):
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 4:
            raise ValueError(f"expected a Trigger, or a tuple of name, signal, receiver and sender, got {entry!r}")
        name, signal, receiver, sender = entry
        entry = Trigger(name, signal=signal, receiver=receiver, sender=sender)
    written: object = entry.name
    if not isinstance(written, str) or not 0 < len(written) <= MAX_NAME:
        raise ValueError(f"a trigger's name is text of 1 to {MAX_NAME} characters, not {written!r}")
    return entry
