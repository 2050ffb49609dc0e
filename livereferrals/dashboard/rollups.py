"""Rollups: totals that hold exactly the events up to a stored place in the log."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections, models, router, transaction
from django.utils import timezone

from livereferrals import times
from livereferrals.callbacks import clock
from livereferrals.dashboard import deltas, ranges, summing
from livereferrals.dashboard.models import (
    DailyLinkTotal,
    DailyPartnerTotal,
    DailyTotal,
    HourlyLinkTotal,
    HourlyPartnerTotal,
    HourlyTotal,
    MonthlyLinkTotal,
    MonthlyPartnerTotal,
    RollupState,
)
from livereferrals.events import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from livereferrals.dashboard.deltas import Delta, Sums, Told

    Totals = Mapping[type[models.Model], Mapping[tuple[Any, ...], Sums]]

logger = logging.getLogger(__name__)

BATCH = 5000
"""Events rolled up in one transaction at most: the more at a time, the fewer writes of the same rows."""

PLACES: dict[type[models.Model], tuple[str, ...]] = {
    HourlyTotal: ("starts_at",),
    DailyTotal: ("day",),
    DailyPartnerTotal: ("partner", "day"),
    DailyLinkTotal: ("link", "day"),
    MonthlyPartnerTotal: ("partner", "month"),
    MonthlyLinkTotal: ("link", "month"),
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
        total += done or 0
        if done is not None and done < BATCH:
            return total


def position() -> RollupState:
    """Return the place up to which the rollups are complete, as it is now. One query."""
    return _found(router.db_for_read(RollupState)) or RollupState()


def _advance_batch(alias: str) -> int | None:
    """Roll up some events and return how many; nothing where others were at it.

    They are added up before the lock is taken: on SQLite it is that of all writers, and hits would wait.
    """
    state = _found(alias) or RollupState.objects.using(alias).get_or_create(pk=RollupState.SINGLETON)[0]
    bounds = log.bounds()
    zone = timezone.get_default_timezone_name()
    if state.time_zone not in ("", zone):
        _change_zone(state, zone=zone, oldest=bounds.oldest, alias=alias)
        return None
    if state.seq >= bounds.head and (state.epoch, state.time_zone) == (bounds.epoch, zone):
        return 0
    # The log has no gaps, and nothing gets a number up to its head any more.
    upto = max(state.seq, min(bounds.head, state.seq + BATCH))
    recent = recent_since()
    totals = totals_of(summing.between(state.seq, upto, using=alias), recent=recent)
    with transaction.atomic(using=alias):
        if not _move(state, seq=upto, epoch=bounds.epoch, time_zone=zone, alias=alias):
            return None
        write(totals, using=alias)
        for model in RECENT:
            model._default_manager.using(alias).filter(starts_at__lt=times.as_stored(recent)).delete()
    return upto - state.seq


def recent_since() -> datetime:
    """Return from when on there are rows by the hour of partners and links, by the database's clock."""
    return times.as_aware(clock.now(router.db_for_write(RollupState))) - RECENT_SPAN


def _found(alias: str) -> RollupState | None:
    return RollupState.objects.using(alias).filter(pk=RollupState.SINGLETON).first()


def _move(state: RollupState, *, alias: str, **values: Any) -> bool:
    """Lock the place and move it, if it is still where it was seen; return whether that was so."""
    seen = {name: getattr(state, name) for name in ("seq", "epoch", "time_zone")}
    rows = RollupState.objects.using(alias).filter(pk=state.pk, **seen)
    return bool(rows.update(**values, updated_at=timezone.now()))


def _change_zone(state: RollupState, *, zone: str, oldest: int, alias: str) -> None:
    """Begin anew where hours and days have become others and the log still has everything.

    Where the log has been pruned, or rows were imported that it never had, the old rows stay as they are: hours of
    another zone are better than none.
    """
    is_whole = oldest == 0 and state.imported_upto is None
    with transaction.atomic(using=alias):
        if not _move(state, seq=0 if is_whole else state.seq, time_zone=zone, alias=alias):
            return
        if is_whole:
            for model in PLACES:
                model._default_manager.using(alias).all().delete()
            return
    logger.warning(
        "TIME_ZONE has changed and the log does not have everything; older totals keep the days of %s.",
        state.time_zone,
        extra={"action": "rollup.zone"},
    )


def sums_of(events: Iterable[Told], *, recent: datetime, using: str) -> Totals:
    """Return what the events add to each table; to the tables of recent hours, from a time on. At most one query."""
    return totals_of(summing.of(events, using=using), recent=recent)


def totals_of(found: Iterable[Delta], *, recent: datetime) -> Totals:
    """Return what these add to each table; to the tables of recent hours, from a time on."""
    found = list(found)
    zone = timezone.get_default_timezone()

    def kind(delta: Delta) -> tuple[str, str]:
        return delta.trigger, delta.currency

    def hour(delta: Delta) -> tuple[Any, ...]:
        return (delta.moment, *kind(delta))

    def day(delta: Delta) -> tuple[Any, ...]:
        return (ranges.day_of(delta.moment, zone=zone), *kind(delta))

    def month(delta: Delta) -> tuple[Any, ...]:
        return (ranges.day_of(delta.moment, zone=zone).replace(day=1), *kind(delta))

    def recent_hour(delta: Delta) -> tuple[Any, ...] | None:
        return hour(delta) if delta.moment >= recent else None

    def of(owner: str, time: Callable[[Delta], tuple[Any, ...] | None]) -> Callable[[Delta], tuple[Any, ...] | None]:
        def key(delta: Delta) -> tuple[Any, ...] | None:
            found = getattr(delta, owner)
            rest = time(delta) if found else None
            return None if rest is None else (found, *rest)

        return key

    buckets: dict[type[models.Model], Callable[[Delta], tuple[Any, ...] | None]] = {
        HourlyTotal: hour,
        DailyTotal: day,
        DailyPartnerTotal: of("partner", day),
        DailyLinkTotal: of("link", day),
        MonthlyPartnerTotal: of("partner", month),
        MonthlyLinkTotal: of("link", month),
        HourlyPartnerTotal: of("partner", recent_hour),
        HourlyLinkTotal: of("link", recent_hour),
    }
    return {model: deltas.add_up(found, bucket=bucket) for model, bucket in buckets.items()}


def write(totals: Totals, *, using: str) -> None:
    """Add sums to the rows of each table. One statement for some dozens of rows."""
    for model, sums in totals.items():
        _upsert(model, PLACES[model], sums, alias=using)


def take_back(events: Iterable[Told], *, using: str) -> None:
    """Take what these add from the rows that hold it. In a transaction that holds the lock of the place."""
    added = sums_of(events, recent=recent_since(), using=using)
    write({model: {key: -each for key, each in sums.items()} for model, sums in added.items()}, using=using)


def drop_noughts(*, using: str) -> None:
    """Remove the rows of triggers that hold nothing: else a currency that was taken back would be shown for ever."""
    nothing = models.Q(**dict.fromkeys(deltas.COLUMNS, 0)) & ~models.Q(trigger="")
    for model in PLACES:
        model._default_manager.using(using).filter(nothing).delete()


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
        columns[name].get_db_prep_save(times.as_stored(value) if isinstance(value, datetime) else value, connection)
        for row in rows
        for name, value in zip(names, row, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
