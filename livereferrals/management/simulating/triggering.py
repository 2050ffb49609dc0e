"""Which triggers the visitors of a journey should confirm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

from livereferrals.triggers import catalogue, registry

if TYPE_CHECKING:
    from livereferrals.management.simulating.journeys import Journey


def known() -> list[str]:
    """Return the names of all triggers."""
    return [trigger.name for trigger in catalogue.triggers()]


def is_once(name: str) -> bool:
    """Whether a trigger confirms a person but once."""
    trigger = catalogue.named(name)
    return trigger.reference is None if trigger.once is None else trigger.once


def guessed(journey: Journey) -> None:
    """Fill in the triggers that a journey does not name.

    A sign-up confirms the trigger whose sender is the user model; an order the only other one, if there is but one.
    """
    active = [each for each in registry.connected() if each.trigger.enabled]
    of_users = [each.trigger.name for each in active if each.sender is get_user_model()]
    others = [each.trigger.name for each in active if each.trigger.name not in of_users]
    if journey.sign_up_page is not None and journey.sign_up_trigger is None and len(of_users) == 1:
        journey.sign_up_trigger = of_users[0]
    if journey.order_page is not None and journey.order_trigger is None and len(others) == 1:
        journey.order_trigger = others[0]
