"""Times of the old tables, as this project stores times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from django.utils import timezone


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """How the times of one database are read."""

    zone: tzinfo
    """The zone of times that are stored without one."""
    now: datetime
    """A later time is one of a clock that was wrong, and counts as this one (A-04)."""

    def read(self, value: object) -> datetime | None:
        """Return the time that a column holds; nothing where that is no time.

        PostgreSQL gives datetimes, SQLite text. The result is aware, unless the project does without (`USE_TZ`).
        """
        found = value if isinstance(value, datetime) else _parsed(value)
        if found is None:
            return None
        if timezone.is_naive(found):
            found = found.replace(tzinfo=self.zone)
        try:
            return min(found if timezone.is_aware(self.now) else timezone.make_naive(found), self.now)
        except OverflowError:  # the first hours of the year 1 in another zone
            return None


def _parsed(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
