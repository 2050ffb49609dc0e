"""Triggers: connected, heard of, and somebody subscribed to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db.models import Max

from livereferrals.callbacks.models import Subscription
from livereferrals.management.diagnosis.findings import Finding, error, ok, warning
from livereferrals.triggers import connections
from livereferrals.triggers.models import TriggerFiring

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT: Final = "Triggers"


def connected() -> Iterator[Finding]:
    """Look whether each trigger hears its signal, and when it last fired."""
    for problem in connections.unreadable():
        yield error(ABOUT, problem, advice="See docs/triggers.md.")
    fired = dict(TriggerFiring.objects.values_list("trigger").annotate(Max("fired_at")))
    for each in connections.connections():
        what = f"{each.name!r} ({each.signal} from {each.sender or 'anybody'} to {each.receiver})"
        if not each.enabled:
            yield ok(ABOUT, f"{what} is switched off.")
        elif not each.connected or each.why_not:
            yield error(ABOUT, f"{what} does not fire: {'; '.join(each.why_not)}.", advice=f"Mend {each.place}.")
        else:
            last = fired.get(each.name)
            told = "has not fired lately" if last is None else f"last fired at {last:%Y-%m-%d %H:%M:%S} UTC"
            yield ok(ABOUT, f"{what} is connected and {told}.")


def subscribed() -> Iterator[Finding]:
    """Look for subscriptions to what is no trigger, and for triggers that credit nobody."""
    declared = {each.name for each in connections.connections() if each.enabled}
    wanted = set(Subscription.objects.filter(archived_at__isnull=True).values_list("trigger", flat=True).distinct())
    for name in sorted(wanted - declared):
        yield warning(
            ABOUT,
            f"Partners are subscribed to {name!r}, which is no trigger that is switched on.",
            advice="Declare it in TRIGGERS, or archive the subscriptions.",
        )
    for name in sorted(declared - wanted):
        yield warning(
            ABOUT,
            f"No partner is subscribed to {name!r}: it credits links of users and of the house alone.",
            advice="Add a subscription to a partner in the admin.",
        )
