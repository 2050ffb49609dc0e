"""How each feed token stands and is used now: its state in words, its connections as the servers last said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from livereferrals import times
from livereferrals.events.models import ProcessStatus
from livereferrals.streaming import tokens

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.streaming.models import FeedToken

SAID_WITHIN = timedelta(seconds=60)
"""A process that has said nothing for longer is gone, and its connections with it (feed protocol, 10)."""


STATES: Final = {
    "token_revoked": _("Revoked"),
    "token_expired": _("Expired"),
    "forbidden": _("Partner is not active"),
}


def state_in_words(token: FeedToken, *, now: datetime) -> str:
    """Return whether the token opens the feed, and if not, why not."""
    refusal = tokens.refusal_of(token, now=now)
    if refusal is not None:
        return str(STATES[refusal.code])
    if token.revoked_at is None:
        return str(_("In use"))
    last_day = times.day_of(token.revoked_at - timedelta(microseconds=1))
    return str(_("Rotated; works until %(day)s") % {"day": date_format(last_day, "SHORT_DATE_FORMAT")})


def open_by_token(*, now: datetime) -> Counter[str]:
    """Return the number of open connections by token id, of all processes together. One query."""
    found: Counter[str] = Counter()
    rows = ProcessStatus.objects.filter(seen_at__gt=now - SAID_WITHIN)
    for connections in rows.values_list("connections", flat=True):
        found.update(connections)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a token is used now, over all processes."""

    open: int = 0
    """Open connections."""
    behind: int = 0
    """Numbers of the log that the slowest of them is still to get."""


def by_token(*, now: datetime) -> dict[str, Use]:
    """Return how each token that has open connections is used. One query."""
    found: dict[str, Use] = {}
    rows = ProcessStatus.objects.filter(seen_at__gt=now - SAID_WITHIN)
    for connections, behind in rows.values_list("connections", "behind"):
        for token, count in connections.items():
            before = found.get(token, Use())
            found[token] = Use(open=before.open + count, behind=max(before.behind, behind.get(token, 0)))
    return found
