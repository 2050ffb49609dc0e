"""The signing secrets of a subscription: shown, rotated with an overlap, ended (callbacks, section 9)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils.translation import gettext as _

from livereferrals.callbacks import alerting, clock, recording
from livereferrals.callbacks.models import AlertCause, SigningSecret, Subscription
from livereferrals.callbacks.transactions import alias, short_transaction

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

OVERLAP: Final = timedelta(hours=24)
"""How long an older secret signs along, unless told otherwise."""
LONGEST_OVERLAP: Final = timedelta(days=30)
AT_ONCE: Final = 3


def signing(subscription: Subscription, *, now: datetime) -> QuerySet[SigningSecret]:
    """Return the secrets that sign at this moment, newest first; no query yet."""
    living = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return SigningSecret.objects.using(alias()).filter(living, subscription=subscription).order_by("-created_at", "-pk")


def reveal(subscription: Subscription, *, by: Any) -> list[SigningSecret]:
    """Return the secrets that sign now, newest first, and write down who has seen them."""
    recording.record(by, [subscription], _("Signing secrets shown."), action="secret.revealed")
    return list(signing(subscription, now=clock.now(alias())))


def rotate(subscription: Subscription, *, by: Any, overlap: timedelta = OVERLAP) -> SigningSecret:
    """Make a new secret; the one until now signs along for the overlap. The oldest ends where there were three.

    One transaction, under the lock of the subscription's row.

    Raises:
        ValueError: the overlap is negative or longer than 30 days.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ValueError(f"The overlap must be between 0 and {LONGEST_OVERLAP.days} days.")
    with short_transaction(alias()):
        _lock(subscription)
        now = clock.now(alias())
        living = list(signing(subscription, now=now))
        kept = living[: AT_ONCE - 1]
        _end([row.pk for row in living if row not in kept], now=now)
        SigningSecret.objects.using(alias()).filter(subscription=subscription, expires_at=None).update(
            expires_at=now + overlap
        )
        made = SigningSecret.objects.using(alias()).create(subscription=subscription)
        recording.record(by, [subscription], _("Signing secret rotated."), action="secret.rotated")
        alerting.raise_alert(subscription.pk, AlertCause.CHANGED, text=_("The signing secret was rotated."), now=now)
    return made


def end_overlap(subscription: Subscription, *, by: Any) -> int:
    """End the older secrets now: only the newest signs on. Return how many ended."""
    with short_transaction(alias()):
        _lock(subscription)
        now = clock.now(alias())
        older = [row.pk for row in signing(subscription, now=now) if row.expires_at is not None]
        if not older:
            return 0
        _end(older, now=now)
        recording.record(by, [subscription], _("Older signing secrets ended."), action="secret.ended")
    return len(older)


def _lock(subscription: Subscription) -> None:
    # Hosts' transactions that owe this subscription a delivery hold a share of its key: they are not in the way.
    list(Subscription.objects.using(alias()).select_for_update(no_key=True).filter(pk=subscription.pk).values("pk"))


def _end(keys: list[int], *, now: datetime) -> None:
    SigningSecret.objects.using(alias()).filter(pk__in=keys).update(expires_at=now)
