"""The partner that simulated visitors come from: one of their own, so that no real partner hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import router, transaction

from livereferrals.callbacks.models import Subscription
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from livereferrals.tracking.models import ReferralLink

NAME: Final = "Simulated partner"
MARK: Final = "Made by manage.py livereferrals simulate; simulate --clean takes it away again."
"""Its notes, by which it is found."""
LINKS: Final = ("Simulated newsletter", "Simulated blog")
"""Its links, beside its home link."""


def partners() -> QuerySet[Partner]:
    """Return the simulated partners: one, or none."""
    return Partner.objects.using(router.db_for_write(Partner)).filter(notes=MARK)


def lay(triggers: Iterable[str], *, callback_url: str) -> list[ReferralLink]:
    """Make the simulated partner with its links and subscriptions, as far as it is not there; return its links.

    One transaction.

    Args:
        triggers: what it is to be subscribed to.
        callback_url: where it is to be called; empty: nowhere.

    Raises:
        ValidationError: the address may not be called.
    """
    alias = router.db_for_write(Partner)
    with transaction.atomic(using=alias):
        partner = partners().first() or _new(alias)
        for trigger in triggers:
            found = Subscription.objects.using(alias).filter(partner=partner, trigger=trigger, archived_at=None).first()
            subscription = found or Subscription(partner=partner, trigger=trigger)
            if found is None or found.callback_url != callback_url:
                subscription.callback_url = callback_url
                subscription.allow_plain_http = callback_url.startswith("http://")
                subscription.full_clean()
                subscription.save(using=alias)
        if not partner.active:
            partner.active = True
            partner.save(using=alias, update_fields=["active"])
        return list(partner.links.using(alias).filter(disabled=False).order_by("pk"))


def _new(alias: str) -> Partner:
    partner = Partner(name=NAME, notes=MARK, active=True)
    partner.save(using=alias)
    for name in LINKS:
        partner.links.using(alias).create(name=name)
    return partner
