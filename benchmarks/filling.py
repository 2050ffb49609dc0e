"""Fills an empty, migrated database with a year of hits: visitors, hits, events, confirmations and rollups, in minutes.

The database makes the rows itself, out of their numbers: every hundred-and-first event is a confirmation of the hit before
it. Their columns are those of the models, with the models' defaults. The totals are made of the same numbers, as the
product would have left them; `dashboard` has `rollup --check` compare those of a small fill with its events.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from benchmarks.dialects import POSTGRES, SQLITE, Dialect
from livereferrals.dashboard import ranges, rollups
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
from livereferrals.events.models import Event, EventLog
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from django.db.models import Model

DAYS = 365
PARTNERS = 200
CYCLE = 101
"""Of so many events one is a confirmation."""
PART = 250_000
"""Rows made by one statement."""
TRIGGER, CURRENCY, MICROS = "Order paid", "EUR", 12_500_000
HIT = f"(n - CASE n % {CYCLE} WHEN 0 THEN 1 ELSE 0 END)"
"""The number of the hit that an event is, or confirms."""
SUMS = ("hits", "visitors", "confirmations", "amount_micros")
BIG: tuple[type[Model], ...] = (Visitor, ReferralHit, Confirmation, Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What was written."""

    partner: str
    """Uid of one of the partners."""
    partner_pk: int
    """Its key."""
    link: Any
    """Id of its link."""


def there() -> Filled:
    """Return what this database was filled with."""
    link = ReferralLink.objects.select_related("partner").order_by("pk")[:1].get()
    if link.partner is None:
        raise LookupError("It was not filled from here.")
    return Filled(partner=link.partner.uid, partner_pk=link.partner.pk, link=link.pk)


def fill(hits: int) -> None:
    """Write this many hits, evenly over the last year, and what belongs to them."""
    dialect = POSTGRES if connection.vendor == "postgresql" else SQLITE
    events = hits + (hits - 1) // (CYCLE - 1)
    now = timezone.now()
    start = (now - timedelta(days=DAYS)).timestamp()
    step = (now.timestamp() - start) / (events + 1)
    links = _make_partners()
    with _unhindered():
        _make_table("bench_place", ("place", "partner_id", "uid", "link_id", "identifier"), _places(links))
        for first in range(1, events + 1, PART):
            _write_part(dialect, first, min(first + PART - 1, events), start=start, step=step)
        _add_up(dialect, events, now=now, start=start, step=step)
    EventLog.objects.update_or_create(pk=1, defaults={"head": events, "last_numbered_at": now})
    RollupState.objects.update_or_create(
        pk=1,
        defaults={
            "epoch": log.bounds().epoch, "seq": events, "time_zone": timezone.get_default_timezone_name(),
        },
    )  # fmt: skip
    _execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _make_partners() -> list[ReferralLink]:
    for number in range(PARTNERS):
        Partner.objects.create(name=f"Partner {number}", active=True)
    return list(ReferralLink.objects.select_related("partner").order_by("pk"))


def _places(links: list[ReferralLink]) -> list[str]:
    uuid = "'{}'::uuid" if connection.vendor == "postgresql" else "'{.hex}'"
    return [
        f"({place}, {link.partner_id}, '{link.partner.uid if link.partner else ''}', {uuid.format(link.pk)}, '{link.identifier}')"
        for place, link in enumerate(links)
    ]


def _make_table(name: str, columns: tuple[str, ...], rows: list[str]) -> None:
    chosen = ", ".join(f"column{number} AS {column}" for number, column in enumerate(columns, 1))
    _execute(f"CREATE TEMPORARY TABLE {name} AS SELECT {chosen} FROM (VALUES {', '.join(rows)}) AS given")  # noqa: S608 - our own


def _write_part(dialect: Dialect, first: int, last: int, *, start: float, step: float) -> None:
    def key(kind: str, at: str) -> str:
        return dialect.id.format(kind=kind, at=at, start=start, step=step)

    # Each key and moment once; `hit` is the number of the hit that the event is, or confirms.
    _execute(
        f"CREATE TEMPORARY TABLE bench_part AS SELECT n, hit, {dialect.moment.format(start=start, step=step)} AS moment,"  # noqa: S608 - our own
        # A repeat is by the visitor of the event before it.
        f" CASE hit % 4 WHEN 0 THEN {key('a', '(hit - 1)')} ELSE {key('a', 'hit')} END AS visitor,"
        f" {key('8', 'hit')} AS hit_id, {key('b', 'n')} AS event_id"
        f" FROM (SELECT n, {HIT} AS hit FROM {dialect.series.format(first=first, last=last)}) AS numbered"
    )
    is_hit, is_confirmation = "n = hit", "n <> hit"
    rows = f"bench_part JOIN bench_place ON place = hit % {PARTNERS}"
    _insert(
        Visitor, "bench_part", "n % 4 <> 0",
        id=f"CASE WHEN {is_hit} THEN visitor ELSE {key('a', 'n')} END", created_at="moment",
    )  # fmt: skip
    _insert(
        ReferralHit, rows, is_hit,
        id="hit_id", link_id="link_id", partner_id="partner_id", visitor_id="visitor", created_at="moment", device="'mobile'",
        entry_url="'https://shop.example/?ref=' || identifier",
        user_agent="'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0'",
        repeat=f"{_true('n % 4 = 0')}",
        confirmed_at=f"CASE WHEN (n + 1) % {CYCLE} = 0 THEN moment END",
    )  # fmt: skip
    _insert(
        Confirmation, rows, is_confirmation,
        id=key("9", "n"), trigger=f"'{TRIGGER}'", hit_id="hit_id", partner_id="partner_id", visitor_id="visitor",
        reference="'O-' || n", amount_micros=str(MICROS), currency=f"'{CURRENCY}'", occurred_at="moment", created_at="moment",
    )  # fmt: skip
    shared = {
        "id": "event_id",
        "seq": "n",
        "occurred_at": "moment",
        "numbered_at": "moment",
        "partner": "uid",
        "link": "link_id",
        "link_identifier": "identifier",
        "visitor": "visitor",
    }
    confirmation_data = dialect.confirmation_data.format(confirmation=key("9", "n"), trigger=TRIGGER, currency=CURRENCY)
    _insert(Event, rows, is_hit, type="'hit'", data=dialect.hit_data.format(visitor="visitor"), **shared)
    _insert(Event, rows, is_confirmation, type="'confirmation'", data=confirmation_data, **shared)
    _execute("DROP TABLE bench_part")


def _true(condition: str) -> str:
    return f"({condition})" if connection.vendor == "postgresql" else f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def _insert(model: type[Model], source: str, where: str, **expressions: str) -> None:
    """Insert a row for each of the source; columns that are not named get the model's defaults."""
    quote = connection.ops.quote_name
    columns, values, parameters = [], [], []
    for field in model._meta.concrete_fields:
        if field.primary_key and field.get_internal_type() == "BigAutoField":
            continue
        columns.append(quote(str(field.column)))
        if field.column in expressions:
            values.append(expressions.pop(field.column).replace("%", "%%"))
        else:
            values.append("%s")
            parameters.append(field.get_db_prep_save(field.get_default(), connection))
    if expressions:
        raise LookupError(f"{model.__name__} has no columns {sorted(expressions)}.")
    _execute(
        f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns)})"  # noqa: S608 - names of models, our own expressions
        f" SELECT {', '.join(values)} FROM {source.replace('%', '%%')} WHERE {where.replace('%', '%%')}",
        parameters,
    )


def _add_up(dialect: Dialect, events: int, *, now: datetime, start: float, step: float) -> None:
    """Make the rows of all totals, by way of the sums of each hour and link, out of the same numbers."""
    zone = timezone.get_default_timezone()
    first = ranges.hour_of(now - timedelta(days=DAYS + 1), zone=zone)
    hours = ranges.hours(ranges.Span(start=first, end=now), zone=zone)
    _make_table("bench_hour", ("starts_at", "day", "month"), [_hour(hour.start, zone=zone) for hour in hours])
    _execute(
        f"CREATE TEMPORARY TABLE bench_sum AS SELECT {dialect.starts_at} AS starts_at, uid AS partner, link_id AS link,"  # noqa: S608 - our own
        f" CASE confirmed WHEN 0 THEN '' ELSE '{TRIGGER}' END AS trigger, CASE confirmed WHEN 0 THEN '' ELSE '{CURRENCY}' END AS currency,"
        " events * (1 - confirmed) AS hits, fresh * (1 - confirmed) AS visitors, events * confirmed AS confirmations,"
        f" events * confirmed * {MICROS} AS amount_micros"
        f" FROM (SELECT {dialect.hour.format(start=start, step=step)} AS hour, {HIT} % {PARTNERS} AS place, n - {HIT} AS confirmed,"
        " COUNT(*) AS events, SUM(CASE n % 4 WHEN 0 THEN 0 ELSE 1 END) AS fresh"
        f" FROM {dialect.series.format(first=1, last=events)} GROUP BY 1, 2, 3) AS sums JOIN bench_place USING (place)"
    )
    # Once for all the totals of days and months, which are few rows.
    _execute(
        "CREATE TEMPORARY TABLE bench_day AS SELECT day, month, partner, link, trigger, currency,"  # noqa: S608 - our own
        f" {', '.join(f'SUM({name}) AS {name}' for name in SUMS)} FROM bench_sum JOIN bench_hour USING (starts_at)"
        " GROUP BY day, month, partner, link, trigger, currency"
    )
    recent = ranges.hour_of(now - rollups.RECENT_SPAN, zone=zone) + ranges.HOUR
    for model, place in (
        (HourlyTotal, ("starts_at",)), (DailyTotal, ("day",)),
        (DailyPartnerTotal, ("partner", "day")), (DailyLinkTotal, ("link", "day")),
        (MonthlyPartnerTotal, ("partner", "month")), (MonthlyLinkTotal, ("link", "month")),
        (HourlyPartnerTotal, ("partner", "starts_at")), (HourlyLinkTotal, ("link", "starts_at")),
    ):  # fmt: skip
        keys = (*place, "trigger", "currency")
        source = "bench_day" if place[-1] in {"day", "month"} else "bench_sum"
        since = f" WHERE starts_at >= '{recent:%Y-%m-%d %H:%M:%S}'" if model in rollups.RECENT else ""
        if since and connection.vendor == "postgresql":
            since = since[:-1] + "+00'"
        _execute(
            f"INSERT INTO {model._meta.db_table} ({', '.join((*keys, *SUMS, 'claims', 'reversals'))})"  # noqa: S608 - names of models
            f" SELECT {', '.join(keys)}, {', '.join(f'SUM({name})' for name in SUMS)}, 0, 0 FROM {source}{since}"
            f" GROUP BY {', '.join(keys)}"
        )


def _hour(start: datetime, *, zone: tzinfo) -> str:
    row = "('{:%Y-%m-%d %H:%M:%S}', '{}', '{}')"
    if connection.vendor == "postgresql":
        row = "('{:%Y-%m-%d %H:%M:%S}+00'::timestamptz, '{}'::date, '{}'::date)"
    day = ranges.day_of(start, zone=zone)
    return row.format(start.astimezone(UTC), day, day.replace(day=1))


@contextlib.contextmanager
def _unhindered() -> Iterator[None]:
    """Fill without the indexes of the big tables, without a look at each foreign key, and without a flush."""
    for before, _ in _switches():
        _execute(before)
    with connection.schema_editor() as editor:
        for model in BIG:
            for index in model._meta.indexes:
                editor.remove_index(model, index)
    yield
    with connection.schema_editor() as editor:
        for model in BIG:
            for index in model._meta.indexes:
                editor.add_index(model, index)
    for _, after in _switches():
        _execute(after)


def _switches() -> list[tuple[str, str]]:
    if connection.vendor == "postgresql":
        return [
            ("SET session_replication_role = replica", "SET session_replication_role = origin"),
            ("SET synchronous_commit = off", "SET synchronous_commit = on"),
            ("SET maintenance_work_mem = '512MB'", "RESET maintenance_work_mem"),
        ]
    return [
        ("PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON"),
        ("PRAGMA synchronous = OFF", "PRAGMA synchronous = FULL"),
        ("PRAGMA journal_mode = OFF", "PRAGMA journal_mode = WAL"),
        ("PRAGMA cache_size = -200000", "PRAGMA cache_size = -2000"),
    ]


def _execute(statement: str, parameters: list[Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
