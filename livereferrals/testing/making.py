"""Partners for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livereferrals.callbacks.models import Subscription
from livereferrals.tracking.models import Partner
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable


def make_partner(name: str = "Partner", *, triggers: Iterable[str] = (), callback_url: str = "") -> Partner:
    """Make an active partner with its home link, subscribed to these triggers.

    Its link is `partner.links.get(home=True)`. Only a subscribed partner is credited.

    Args:
        name: of the partner.
        triggers: names of triggers as in the settings.
        callback_url: where it is called at a confirmation; plain HTTP is allowed. Empty: nowhere.

    Raises:
        ValueError: a name that no trigger of the settings has.
    """
    names = list(triggers)
    catalogue.require(names)
    partner = Partner.objects.create(name=name, active=True)
    for trigger in names:
        Subscription.objects.create(partner=partner, trigger=trigger, callback_url=callback_url, allow_plain_http=True)
    return partner
