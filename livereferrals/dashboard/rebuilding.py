"""Comparing the rollups with the log, and making them anew from it (O-05).

The log vouches for the hours and days whose events are all still in it: all of them, or, once it has been pruned, those
that begin after its first event was numbered; and after the newest row that was imported from another package, since
imported rows have no events. Older rows stay as they are. The log is read without a lock; a short
transaction at the end, under the rollups' lock, takes in what has been rolled up meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models, router, transaction
from django.utils import timezone

from livereferrals import times
from livereferrals.dashboard import ranges, rollups
from livereferrals.dashboard.deltas import COLUMNS, Sums
from livereferrals.dashboard.models import RollupState
from livereferrals.events import log
from livereferrals.events.locking import lock_singleton
from livereferrals.exceptions import LiveReferralsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Key = tuple[Any, ...]
Totals = dict[type[models.Model], dict[Key, Sums]]
BATCH = 1000
"""Events held at a time."""
EVER = datetime(1, 1, 2, tzinfo=UTC)


class LogMoved(LiveReferralsError, RuntimeError):  # noqa: N818 - says what happened
    """The log was pruned or renumbered while it was read; the next try may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that does not hold what the log says."""

    table: str
    key: Key
    """What the row is for: partner or link, hour or day, trigger, currency."""
    stored: Sums
    right: Sums

    def __str__(self) -> str:
        names = [
            item.name for item in fields(Sums) if getattr(self.stored, item.name) != getattr(self.right, item.name)
        ]
        wrong = ", ".join(f"{name} {getattr(self.stored, name)}, not {getattr(self.right, name)}" for name in names)
        return f"{self.table} {' '.join(str(part) for part in self.key if part)}: {wrong}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """From when on the log has everything."""

    hours: datetime
    days: date
    recent: datetime
    """From when on there are rows by the hour of partners and links."""

    def since(self, model: type[models.Model]) -> date | None:
        """Return the first day, or the first day of the first month, of rows by these that are whole; else nothing."""
        time = rollups.PLACES[model][-1]
        if time == "month" and self.days.day > 1:
            return ranges.next_month(self.days)
        return None if time == "starts_at" else self.days

    def covers(self, model: type[models.Model], key: Key) -> bool:
        """Whether the row's hour or day is wholly in the log."""
        moment = key[len(rollups.PLACES[model]) - 1]
        if (since := self.since(model)) is not None:
            return bool(moment >= since)
        return bool(moment >= self.hours and (model not in rollups.RECENT or moment >= self.recent))


def check() -> list[Difference]:
    """Return the rows of the rollups that do not hold what the log says, once they are up to date. Writes no row.

    Raises:
        LogMoved: the log was pruned while it was read, or rows were imported.
    """
    found: list[Difference] = _with_totals(_differences)
    return found


def rebuild() -> int:
    """Make the rows anew for which the log has everything; return how many there are.

    Raises:
        LogMoved: the log was pruned while it was read.
    """
    count: int = _with_totals(_replace)
    return count


def _with_totals(act: Callable[[Totals, Reach, str], Any]) -> Any:
    """Add up the log, and call `act` with the totals while the rollups stand at the same place."""
    alias = router.db_for_write(RollupState)
    rollups.advance()
    bounds = log.bounds()
    imported_upto = rollups.position().imported_upto
    reach = _reach(bounds, imported_upto=imported_upto)
    totals: Totals = {model: defaultdict(Sums) for model in rollups.PLACES}
    place = _add_up(totals, reach, after=bounds.oldest, upto=rollups.position().seq, alias=alias)
    with transaction.atomic(using=alias):
        state = lock_singleton(RollupState, using=alias)
        if state.imported_upto != imported_upto:
            raise LogMoved("Rows were imported while the event log was read; try again.")
        _add_up(totals, reach, after=place, upto=state.seq, alias=alias)
        return act(totals, reach, alias)


def _reach(bounds: log.Bounds, *, imported_upto: datetime | None) -> Reach:
    zone = timezone.get_default_timezone()
    # A full hour of margin: rows of an hour that is just being forgotten are not whole.
    recent = ranges.hour_of(rollups.recent_since(), zone=zone) + 2 * ranges.HOUR
    limits = [] if imported_upto is None else [imported_upto]
    if bounds.oldest > 0:
        first = log.read(bounds.oldest, limit=1)
        # What was pruned was numbered before, and had happened before that.
        limits.append(first[0].numbered_at if first and first[0].numbered_at is not None else timezone.now())
    if not limits:
        return Reach(hours=EVER, days=EVER.date(), recent=recent)
    known = max(limits)
    hours = ranges.hour_of(known, zone=zone) + ranges.HOUR
    return Reach(hours=hours, days=ranges.day_of(known, zone=zone) + timedelta(days=1), recent=recent)


def _add_up(totals: Totals, reach: Reach, *, after: int, upto: int, alias: str) -> int:
    """Add the events after one number up to another; return the last. Holds one batch of them at a time."""
    while after < upto:
        events = log.read(after, upto=upto, limit=BATCH)
        last = events[-1].seq if events else None
        if last is None or last - after != len(events):
            raise LogMoved("The event log was pruned while it was read; try again.")
        for model, sums in rollups.sums_of(events, recent=reach.recent, using=alias).items():
            for key, added in sums.items():
                if reach.covers(model, key):
                    totals[model][key] += added
        after = last
    return after


def _stored(model: type[models.Model], reach: Reach, alias: str) -> dict[Key, Sums]:
    """Return the rows that the log vouches for."""
    names = (*rollups.PLACES[model], "trigger", "currency")
    rows = _covered(model, reach, alias).values_list(*names, *COLUMNS)
    return {
        tuple(map(_aware, row[: len(names)])): Sums(**dict(zip(COLUMNS, row[len(names) :], strict=True)))
        for row in rows.iterator(chunk_size=2000)
    }


def _covered(model: type[models.Model], reach: Reach, alias: str) -> models.QuerySet[Any]:
    rows = model._default_manager.using(alias)
    if (since := reach.since(model)) is not None:
        return rows.filter(**{f"{rollups.PLACES[model][-1]}__gte": since})
    since = max(reach.hours, reach.recent) if model in rollups.RECENT else reach.hours
    return rows.filter(starts_at__gte=times.as_stored(since))


def _aware(part: Any) -> Any:
    return times.as_aware(part) if isinstance(part, datetime) else part


def _differences(totals: Totals, reach: Reach, alias: str) -> list[Difference]:
    found = []
    for model, right in totals.items():
        stored: Mapping[Key, Sums] = _stored(model, reach, alias)
        for key in sorted(stored.keys() | right.keys(), key=str):
            there, due = stored.get(key, Sums()), right.get(key, Sums())
            if there != due:
                found.append(Difference(table=str(model._meta.verbose_name), key=key, stored=there, right=due))
    return found


def _replace(totals: Totals, reach: Reach, alias: str) -> int:
    for model in totals:
        _covered(model, reach, alias).delete()
    rollups.write(totals, using=alias)
    return sum(map(len, totals.values()))
