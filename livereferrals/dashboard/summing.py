"""What a stretch of the log adds to the totals, without reading each of its hits.

Nearly all of a log is hits, and a hit says little: the database sums them up by the minute, partner and link. Everything
else is read as it is, and counts by the rule of `deltas`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connections
from django.db.models import Count, DateTimeField, F, Func, Min, Q, TextField, Value
from django.db.models.functions import Cast, Substr
from django.utils import timezone

from livereferrals import times
from livereferrals.dashboard import deltas
from livereferrals.dashboard.deltas import Delta, Sums
from livereferrals.events.models import Event, EventType
from livereferrals.events.voiding import KEY as VOID
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from livereferrals.dashboard.deltas import Told


def between(after: int, upto: int, *, using: str) -> list[Delta]:
    """Return what the events with `after < seq <= upto` add, by the hour. Two queries; three where something is taken back."""
    stretch = Event.objects.using(using).filter(seq__gt=after, seq__lte=upto)
    # No objects of the model: making them costs more than the query.
    others: list[Told] = list(stretch.exclude(type=EventType.HIT).values_list(*deltas.TOLD, named=True))
    return _by_hour([*_hits(stretch, using=using), *_deltas(others, using=using)])


def of(events: Iterable[Told], *, using: str) -> list[Delta]:
    """Return what these events add, by the hour. At most one query."""
    return _by_hour(_deltas(list(events), using=using))


def confirmation_times(events: Iterable[Told], *, using: str | None = None) -> dict[str, datetime]:
    """Return when the confirmations were that these events take back, by id. At most one query."""
    wanted = {found for event in events if (found := deltas.confirmation_of(event))}
    if not wanted:
        return {}
    rows = Confirmation.objects.using(using).filter(pk__in=wanted).values_list("pk", "occurred_at")
    return {str(pk): moment for pk, moment in rows}


def _by_hour(found: Iterable[Delta]) -> list[Delta]:
    return deltas.gathered(found, zone=timezone.get_default_timezone())


def _deltas(events: list[Told], *, using: str) -> Iterator[Delta]:
    confirmed_at = confirmation_times(events, using=using)
    return (delta for event in events for delta in deltas.deltas(event, confirmed_at=confirmed_at))


def _hits(stretch: QuerySet[Event], *, using: str) -> Iterator[Delta]:
    """Give the hits that count, as `deltas.deltas` would, those of one minute, partner and link as one.

    By the minute, because no zone's hours begin within one.
    """
    rows = (
        stretch.filter(type=EventType.HIT)
        .exclude(data__has_key=VOID)
        .annotate(minute=_minute(using))
        .values("minute", "partner", "link")
        .annotate(first=Min("occurred_at"), hits=Count("id"), repeats=Count("id", filter=Q(data__repeat=True)))
        .order_by()
        .values_list("partner", "link", "first", "hits", "repeats")
    )
    for partner, link, first, hits, repeats in rows:
        sums = Sums(hits=hits, visitors=hits - repeats)
        yield Delta(moment=times.as_aware(first), sums=sums, partner=partner, link=link)


def _minute(using: str) -> Func:
    """Return the expression of an event's minute.

    SQLite keeps times as text. Django's own truncation there is a function in Python, called for each row.
    """
    if connections[using].vendor == "postgresql":
        return Func(Value("minute"), F("occurred_at"), function="date_trunc", output_field=DateTimeField())
    return Substr(Cast("occurred_at", TextField()), 1, len("2026-11-22 10:20"))
