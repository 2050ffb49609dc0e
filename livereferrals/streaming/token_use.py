"""How many connections live on each feed token now, as the server processes last said."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from livereferrals.events.models import ProcessStatus

if TYPE_CHECKING:
    from datetime import datetime

SAID_WITHIN = timedelta(seconds=60)
"""A process that has said nothing for longer is gone, and its connections with it (feed protocol, 10)."""


def open_by_token(*, now: datetime) -> Counter[str]:
    """Return the number of open connections by token id, of all processes together. One query."""
    found: Counter[str] = Counter()
    rows = ProcessStatus.objects.filter(seen_at__gt=now - SAID_WITHIN)
    for connections in rows.values_list("connections", flat=True):
        found.update(connections)
    return found
