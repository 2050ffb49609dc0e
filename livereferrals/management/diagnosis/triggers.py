"""Triggers: connected, heard of, and somebody subscribed to them."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Count, Max
from django.utils import timezone

from livereferrals.callbacks.models import Subscription
from livereferrals.dashboard.inspector import FAILED
from livereferrals.management.diagnosis.findings import Finding, counted, error, ok, warning
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import connections
from livereferrals.triggers.models import TriggerFiring

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ABOUT: Final = "Triggers"
LATELY: Final = timedelta(days=1)
LOGGED: Final[dict[str, str]] = {Reason.ERROR: "trigger.failed", Reason.BAD_MAPPING: "trigger.bad-mapping"}
"""The `action` of the log's record for each failure."""


def connected() -> Iterator[Finding]:
    """Look whether each trigger hears its signal, and when it last fired."""
    for problem in connections.unreadable():
        yield error(ABOUT, problem, advice="See docs/triggers.md.")
    fired = dict(TriggerFiring.objects.values_list("trigger").annotate(Max("fired_at")))
    failed = _failed_lately()
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
            yield from _failures(each.name, failed.get(each.name, {}), place=each.place)


def _failed_lately() -> dict[str, dict[str, int]]:
    """Return how often each trigger failed in the last day, by reason. One query."""
    rows = TriggerFiring.objects.filter(fired_at__gt=timezone.now() - LATELY, reason__in=FAILED)
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, reason, count in rows.values_list("trigger", "reason").annotate(Count("pk")).order_by("reason"):
        found[name][reason] = count
    return dict(found)


def _failures(name: str, failed: Mapping[str, int], *, place: str) -> Iterator[Finding]:
    for reason, count in failed.items():
        yield warning(
            ABOUT,
            f"{name!r} confirmed nothing {counted(count, 'time', 'times')} in the last day, because "
            f"{Reason(reason).label} ({reason}).",
            advice=f"The log says what it was: look for {LOGGED[reason]}. Then mend {place}.",
        )


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
