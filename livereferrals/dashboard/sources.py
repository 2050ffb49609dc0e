"""Where the numbers come from: rollup rows up to their place in the log, and the events after it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db import router
from django.db.models import Q
from django.utils import timezone

from livereferrals import times
from livereferrals.dashboard import adding, deltas, ranges, rollups, summing
from livereferrals.dashboard.deltas import COLUMNS, Sums
from livereferrals.dashboard.models import (
    DailyLinkTotal,
    DailyPartnerTotal,
    DailyTotal,
    HourlyLinkTotal,
    HourlyPartnerTotal,
    HourlyTotal,
    MonthlyLinkTotal,
    MonthlyPartnerTotal,
)
from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralLink

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Collection, Hashable, Mapping
    from datetime import date

    from django.db.models import Model, QuerySet

    from livereferrals.dashboard.deltas import Delta
    from livereferrals.dashboard.ranges import Span
    from livereferrals.events.log import Bounds


class By(StrEnum):
    """What the numbers of a span are divided by."""

    TOTAL = "total"
    HOUR = "hour"
    """The beginning of the project's hour, in UTC."""
    DAY = "day"
    """The project's day."""
    PARTNER = "partner"
    """The partner's uid; what belongs to the house is left out."""
    LINK = "link"
    """The link's id; claims, which have no link, are left out."""
    TRIGGER = "trigger"
    """The trigger's name; hits and claims, which have none, under the empty one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Whose numbers are asked for; the default is everybody's, the house's too."""

    partners: frozenset[str] | None = None
    """These partners' alone, by uid."""
    link: uuid.UUID | None = None
    """This link's alone."""

    def has(self, delta: Delta) -> bool:
        """Whether it is one of these."""
        if self.link is not None:
            return delta.link == self.link
        return self.partners is None or delta.partner in self.partners


EVERYBODY = Whose()

Key = tuple["Hashable", str]
"""A bucket and a currency, which is empty for what has no amount."""


class Source:
    """What happened up to one place in the log, by rollups and by the events after them.

    To be made where `at` was read, inside `snapshots.one_moment()`; the tail is read once, whatever is asked. Each sum
    costs one query.
    """

    def __init__(self, at: Bounds) -> None:
        self._at = at

    def sums(
        self, span: Span, *, whose: Whose = EVERYBODY, by: By = By.TOTAL, only: Collection[Any] | None = None
    ) -> dict[Key, Sums]:
        """Return what happened in the span by bucket and currency. One query.

        `only` names the buckets that are wanted, of partners or of links.

        A span that is no whole number of the project's days, or `By.HOUR`, of single partners or links, is known for the
        last `rollups.RECENT_SPAN` only.
        """
        found = _rolled_up(span, whose=whose, by=by, only=only)
        for key, more in self._of_tail(span, whose=whose, by=by, only=only).items():
            found[key] = found.get(key, Sums()) + more
        return found

    def leaders(self, span: Span, *, by: By, count: int, whose: Whose = EVERYBODY) -> list[Any]:
        """Return the buckets that may be among the first `count` by confirmations, then hits. One query.

        They are as many more as the tail can have thrown out or brought in; who asks for their sums has the right order.
        """
        fresh = {bucket for bucket, _ in self._of_tail(span, whose=whose, by=by, only=None)}
        parts, _ = _parts(span, whose=whose, by=by)
        names = adding.first(parts, str(by), ("confirmations", "hits"), count=count + len(fresh))
        return [*dict.fromkeys([*names, *fresh])]

    @cached_property
    def _tail(self) -> list[Delta]:
        """What the events after the rollups add, by the hour. At most four queries."""
        after = rollups.position().seq
        if after >= self._at.head:
            return []
        return summing.between(after, self._at.head, using=router.db_for_read(Event))

    def _of_tail(self, span: Span, *, whose: Whose, by: By, only: Collection[Any] | None) -> Mapping[Key, Sums]:
        bucket = _bucket_of_delta(by)

        def key(delta: Delta) -> Key | None:
            if delta.moment not in span or not whose.has(delta):
                return None
            found = bucket(delta)
            return None if found is None or (only is not None and found not in only) else (found, delta.currency)

        return deltas.add_up(self._tail, bucket=key)


# --- rollups -----------------------------------------------------------------------------------------------------------


def _rolled_up(span: Span, *, whose: Whose, by: By, only: Collection[Any] | None) -> dict[Key, Sums]:
    """Return the sums of rollup rows. One query; `SUM` in the database, over whole numbers."""
    parts, time = _parts(span, whose=whose, by=by)
    column = {By.TOTAL: "", By.HOUR: time, By.DAY: time}.get(by, str(by))
    if only is not None:
        parts = [rows.filter(**{f"{column}__in": list(only)}) for rows in parts]
    names = (column, "currency") if column else ("currency",)
    bucket = _bucket_of_row(by, time)
    totals: dict[Key, Sums] = {}
    for row in adding.sums(parts, names, COLUMNS):
        key = (bucket(row[0]) if column else "", row[len(names) - 1])
        more = Sums(**dict(zip(COLUMNS, row[len(names) :], strict=True)))
        totals[key] = totals[key] + more if key in totals else more
    return totals


def _parts(span: Span, *, whose: Whose, by: By) -> tuple[list[QuerySet[Any]], str]:
    """Return the rows that know these numbers, in one part or two, and the name of their column of time.

    Of all partners or links at once the whole months of a long span are read by the month: a year by the day is a row for
    each day of each of them.
    """
    rows, time = _rows(span, whose=whose, by=by)
    months = _months(span) if by in MONTHLY and time == "day" else None
    if months is None:
        return [rows], time
    since, until = months
    monthly = _narrowed(MONTHLY[by], whose).filter(month__gte=since, month__lt=until)
    return [monthly, rows.filter(Q(day__lt=since) | Q(day__gte=until))], time


def _months(span: Span) -> tuple[date, date] | None:
    """Return the first day of the first whole month and of the one after the last, where there are two at least."""
    zone = timezone.get_default_timezone()
    first, beyond = ranges.day_of(span.start, zone=zone), ranges.day_of(span.end, zone=zone)
    since = first if first.day == 1 else ranges.next_month(first)
    until = beyond.replace(day=1)
    return (since, until) if ranges.next_month(since) < until else None


MONTHLY: dict[By, type[Model]] = {By.PARTNER: MonthlyPartnerTotal, By.LINK: MonthlyLinkTotal}


def _rows(span: Span, *, whose: Whose, by: By) -> tuple[QuerySet[Any], str]:
    """Return the rows of the table that knows these numbers, and the name of its column of time."""
    hourly = by is By.HOUR or not _is_whole_days(span)
    model: type[Model]
    if whose.link is not None or by is By.LINK:
        model = HourlyLinkTotal if hourly else DailyLinkTotal
    elif whose.partners is not None or by is By.PARTNER:
        model = HourlyPartnerTotal if hourly else DailyPartnerTotal
    else:
        model = HourlyTotal if hourly else DailyTotal
    rows = _narrowed(model, whose)
    if hourly:
        return rows.filter(
            starts_at__gte=times.as_stored(span.start), starts_at__lt=times.as_stored(span.end)
        ), "starts_at"
    zone = timezone.get_default_timezone()
    first, beyond = ranges.day_of(span.start, zone=zone), ranges.day_of(span.end, zone=zone)
    return rows.filter(day__gte=first, day__lt=beyond), "day"


def _narrowed(model: type[Model], whose: Whose) -> QuerySet[Any]:
    rows = model._default_manager.all()
    if whose.link is not None:
        return rows.filter(link=whose.link)
    if whose.partners is None:
        return rows
    if model in {HourlyLinkTotal, DailyLinkTotal, MonthlyLinkTotal}:
        return rows.filter(link__in=ReferralLink.objects.filter(partner__uid__in=whose.partners).values("pk"))
    return rows.filter(partner__in=whose.partners)


def _is_whole_days(span: Span) -> bool:
    zone = timezone.get_default_timezone()
    return all(ranges.midnight(ranges.day_of(end, zone=zone), zone=zone) == end for end in (span.start, span.end))


def _bucket_of_row(by: By, time: str) -> Callable[[Any], Hashable]:
    if by is By.DAY and time == "starts_at":
        zone = timezone.get_default_timezone()
        return lambda moment: ranges.day_of(moment, zone=zone)
    return times.as_aware if by is By.HOUR else lambda value: value


def _bucket_of_delta(by: By) -> Callable[[Delta], Hashable | None]:
    zone = timezone.get_default_timezone()
    return {
        By.TOTAL: lambda delta: "",
        By.HOUR: lambda delta: ranges.hour_of(delta.moment, zone=zone),
        By.DAY: lambda delta: ranges.day_of(delta.moment, zone=zone),
        By.PARTNER: lambda delta: delta.partner or None,
        By.LINK: lambda delta: delta.link,
        By.TRIGGER: lambda delta: delta.trigger,
    }[by]
