"""Everything that is forgotten with time: what, after how long, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import router

from livereferrals import conf
from livereferrals.callbacks import clock
from livereferrals.callbacks import retention as callback_retention
from livereferrals.dashboard import rollups
from livereferrals.events import retention as event_retention
from livereferrals.events.models import Event
from livereferrals.tracking import forgetting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of row that grows old."""

    name: str
    does: str
    """What happens to it, in words for a person."""
    count: Callable[[datetime], int]
    """How many it would be. Reads only."""
    prune: Callable[[datetime], Iterator[int]]
    """Does it, in batches; gives the number of each once it is done."""


def present() -> datetime:
    """Return the time by which rows grow old: the database's, for a machine whose clock is ahead would forget too much."""
    return clock.now(router.db_for_write(Event))


def _events(now: datetime) -> Iterator[int]:
    # What is not rolled up yet would be missing from the totals for ever.
    rollups.advance()
    yield from event_retention.prune(before=now - conf.settings.FEED_RETENTION, upto=rollups.position().seq)


def _count_events(now: datetime) -> int:
    return event_retention.prunable(before=now - conf.settings.FEED_RETENTION, upto=rollups.position().seq)


def _hits(now: datetime) -> Iterator[int]:
    keep = conf.settings.RETENTION
    if keep is not None:
        yield from forgetting.forget_old_hits(before=now - keep)


def _count_hits(now: datetime) -> int:
    keep = conf.settings.RETENTION
    return 0 if keep is None else forgetting.old_hits(before=now - keep).count()


def _visitors(now: datetime) -> Iterator[int]:
    keep = conf.settings.RETENTION
    if keep is not None:
        yield from forgetting.remove_old_visitors(before=now - keep)


def _count_visitors(now: datetime) -> int:
    keep = conf.settings.RETENTION
    return 0 if keep is None else forgetting.old_visitors(before=now - keep).count()


KINDS: Final = (
    Kind(name="events", does="events removed from the log", count=_count_events, prune=_events),
    Kind(name="hits", does="hits emptied of agent, referer, address and query", count=_count_hits, prune=_hits),
    Kind(name="visitors", does="visitors of nobody removed", count=_count_visitors, prune=_visitors),
    Kind(
        name="attempts",
        does="attempts at callbacks removed",
        count=lambda now: callback_retention.old_attempts(now).count(),
        prune=callback_retention.prune_attempts,
    ),
    Kind(
        name="deliveries",
        does="ended deliveries removed",
        count=lambda now: callback_retention.old_deliveries(now).count(),
        prune=callback_retention.prune_deliveries,
    ),
)
