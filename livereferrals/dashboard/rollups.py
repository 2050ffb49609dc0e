"""Rollups: totals that hold exactly the events up to a stored place in the log."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections, models, router, transaction
from django.utils import timezone

from livereferrals.dashboard import deltas, ranges
from livereferrals.dashboard.models import (
    DailyLinkTotal,
    DailyPartnerTotal,
    HourlyLinkTotal,
    HourlyPartnerTotal,
    HourlyTotal,
    RollupState,
)
from livereferrals.events import log
from livereferrals.events.locking import lock_singleton
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from livereferrals.dashboard.deltas import Delta, Sums
    from livereferrals.events.models import Event

    Totals = Mapping[type[models.Model], Mapping[tuple[Any, ...], Sums]]

logger = logging.getLogger(__name__)

BATCH = 1000
"""Events rolled up in one transaction at most, so that the lock is never held long."""

PLACES: dict[type[models.Model], tuple[str, ...]] = {
    HourlyTotal: ("starts_at",),
    DailyPartnerTotal: ("partner", "day"),
    DailyLinkTotal: ("link", "day"),
    HourlyPartnerTotal: ("partner", "starts_at"),
    HourlyLinkTotal: ("link", "starts_at"),
}
"""What a row of each table is for, beside trigger and currency; its time comes last."""
RECENT: tuple[type[models.Model], ...] = (HourlyPartnerTotal, HourlyLinkTotal)
"""Kept for `RECENT_SPAN` only: by the hour of each partner for ever would be most of the database."""
RECENT_SPAN = timedelta(hours=50)
"""Longer than the longest range that is shown by hours of a partner: a day of 25 hours, and the one before it."""


def advance() -> int:
    """Roll up everything that is numbered and not yet rolled up; return how many events that were.

    Safe to call from any number of threads and processes: each batch is one transaction under one lock row.
    """
    alias = router.db_for_write(RollupState)
    total = 0
    while True:
        done = _advance_batch(alias)
        total += done
        if done < BATCH:
            return total


def position() -> RollupState:
    """Return the place up to which the rollups are complete, as it is now. One query."""
    alias = router.db_for_read(RollupState)
    return RollupState.objects.using(alias).filter(pk=RollupState.SINGLETON).first() or RollupState()


def confirmation_times(events: Iterable[Event], *, using: str | None = None) -> dict[str, datetime]:
    """Return when the confirmations were that these events take back, by id. At most one query."""
    wanted = {found for event in events if (found := deltas.confirmation_of(event))}
    if not wanted:
        return {}
    rows = Confirmation.objects.using(using).filter(pk__in=wanted).values_list("pk", "occurred_at")
    return {str(pk): moment for pk, moment in rows}


def _advance_batch(alias: str) -> int:
    with transaction.atomic(using=alias):
        state = lock_singleton(RollupState, using=alias)
        bounds = log.bounds()
        zone = timezone.get_default_timezone_name()
        if state.time_zone != zone:
            _change_zone(state, zone=zone, oldest=bounds.oldest, alias=alias)
        events = log.read(state.seq, upto=bounds.head, limit=BATCH)
        if not events and state.epoch == bounds.epoch:
            return 0
        _add(events, alias=alias)
        state.seq = events[-1].seq or state.seq if events else state.seq
        state.epoch = bounds.epoch
        state.save(using=alias)
    return len(events)


def _change_zone(state: RollupState, *, zone: str, oldest: int, alias: str) -> None:
    """Begin anew where hours and days have become others and the whole log is still there.

    Where the log has been pruned, the old rows stay as they are: hours of another zone are better than none.
    """
    if state.time_zone and oldest > 0:
        logger.warning(
            "TIME_ZONE has changed and the log is pruned; older totals keep the days of %s.",
            state.time_zone,
            extra={"action": "rollup.zone"},
        )
    elif state.time_zone:
        for model in PLACES:
            model._default_manager.using(alias).all().delete()
        state.seq = 0
    state.time_zone = zone


def _add(events: list[Event], *, alias: str) -> None:
    """Add the events to all tables, and forget hours that are too old: at most one query and seven statements."""
    recent = timezone.now() - RECENT_SPAN
    write(sums_of(events, recent=recent, using=alias), using=alias)
    for model in RECENT:
        model._default_manager.using(alias).filter(starts_at__lt=recent).delete()


def sums_of(events: Iterable[Event], *, recent: datetime, using: str) -> Totals:
    """Return what the events add to each table; to the tables of recent hours, from a time on. At most one query."""
    events = list(events)
    zone = timezone.get_default_timezone()
    times = confirmation_times(events, using=using)
    found = [delta for event in events for delta in deltas.deltas(event, confirmed_at=times)]

    def kind(delta: Delta) -> tuple[str, str]:
        return delta.trigger, delta.currency

    def hour(delta: Delta) -> tuple[Any, ...]:
        return (ranges.hour_of(delta.moment, zone=zone), *kind(delta))

    def partner_day(delta: Delta) -> tuple[Any, ...] | None:
        return (delta.partner, ranges.day_of(delta.moment, zone=zone), *kind(delta)) if delta.partner else None

    def link_day(delta: Delta) -> tuple[Any, ...] | None:
        return (delta.link, ranges.day_of(delta.moment, zone=zone), *kind(delta)) if delta.link else None

    def partner_hour(delta: Delta) -> tuple[Any, ...] | None:
        return (delta.partner, *hour(delta)) if delta.partner and delta.moment >= recent else None

    def link_hour(delta: Delta) -> tuple[Any, ...] | None:
        return (delta.link, *hour(delta)) if delta.link and delta.moment >= recent else None

    buckets = {
        HourlyTotal: hour,
        DailyPartnerTotal: partner_day,
        DailyLinkTotal: link_day,
        HourlyPartnerTotal: partner_hour,
        HourlyLinkTotal: link_hour,
    }
    return {model: deltas.add_up(found, bucket=bucket) for model, bucket in buckets.items()}


def write(totals: Totals, *, using: str) -> None:
    """Add sums to the rows of each table. One statement for some dozens of rows."""
    for model, sums in totals.items():
        _upsert(model, PLACES[model], sums, alias=using)


def _upsert(
    model: type[models.Model], place: tuple[str, ...], totals: Mapping[tuple[Any, ...], Sums], *, alias: str
) -> None:
    """Add sums to the rows that their keys name, made where there are none. One statement for some hundred rows.

    `bulk_create(update_conflicts=True)` can only overwrite a row; these have to add to it.
    """
    keys = (*place, "trigger", "currency")
    # Rows of nothing but zeros too: they say that a currency occurs, whatever was rolled up together.
    rows = [(*key, *(getattr(sums, name) for name in deltas.COLUMNS)) for key, sums in totals.items()]
    names = (*keys, *deltas.COLUMNS)
    for start in range(0, len(rows), CHUNK):
        _upsert_rows(model, keys, names, rows[start : start + CHUNK], alias=alias)


CHUNK = 90
"""Rows in one statement: older SQLite takes 999 parameters, and a row has up to ten."""


def _upsert_rows(
    model: type[models.Model], keys: tuple[str, ...], names: tuple[str, ...], rows: list[tuple[Any, ...]], *, alias: str
) -> None:
    connection = connections[alias]
    options = model._meta
    columns = {field.name: field for field in options.concrete_fields}
    table = connection.ops.quote_name(options.db_table)
    one = f"({', '.join(['%s'] * len(names))})"
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in deltas.COLUMNS)
    # Every name below comes from the model; values are parameters.
    statement = (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {', '.join([one] * len(rows))} "  # noqa: S608
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"
    )
    values = [
        columns[name].get_db_prep_save(value, connection)
        for row in rows
        for name, value in zip(names, row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
