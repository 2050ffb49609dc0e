"""Times as the project's database has them: aware, or naive where the project does without (`USE_TZ = False`, N-17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

if TYPE_CHECKING:
    from datetime import date, datetime


def as_stored(moment: datetime) -> datetime:
    """Return an aware time as it may be compared with what the database holds."""
    return moment if timezone.is_aware(timezone.now()) else timezone.make_naive(moment)


def as_aware(moment: datetime) -> datetime:
    """Return a time of the database with its zone."""
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def today() -> date:
    """Return the day that it is now in the project's zone."""
    return day_of(timezone.now())


def day_of(moment: datetime) -> date:
    """Return the day of a time of the database, in the project's zone."""
    return timezone.localdate(as_aware(moment), timezone.get_default_timezone())
