"""The arguments that both importers have."""

from __future__ import annotations

import argparse
import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from livereferrals.management.importing.running import DEFAULT_TRIGGER

if TYPE_CHECKING:
    from datetime import tzinfo

PAUSE_S = 0.01
MAX_TRIGGER = 100


def add(parser: argparse.ArgumentParser, *, trigger_help: str) -> None:
    """Declare them."""
    parser.add_argument("--dry-run", action="store_true", help="Print the same report, and write nothing.")
    add_source(parser)
    parser.add_argument("--trigger", type=_trigger, default=DEFAULT_TRIGGER, metavar="NAME", help=trigger_help)
    parser.add_argument("--keep-ips", action="store_true", help="Keep whole addresses, whatever the setting IP says.")
    parser.add_argument(
        "--since", type=_moment, metavar="DATE", help="Only hits and visitors from this day or time on; 2026-01-31."
    )
    add_manner(parser)


def add_source(parser: argparse.ArgumentParser) -> None:
    """Declare where the old rows are, and how they are read."""
    parser.add_argument(
        "--database", type=_alias, default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="The connection with the old tables."
    )
    parser.add_argument(
        "--time-zone",
        type=_zone,
        metavar="ZONE",
        help="The zone of times that are stored without one; Europe/Berlin. Default: UTC on SQLite with USE_TZ, where "
        "Django stores them so, else TIME_ZONE.",
    )


def add_manner(parser: argparse.ArgumentParser) -> None:
    """Declare how the work goes on."""
    parser.add_argument(
        "--pause", type=_seconds, default=PAUSE_S, metavar="S", help=f"Rest between batches; default: {PAUSE_S} s."
    )
    parser.add_argument("--quiet", action="store_true", help="Show no progress, only the report.")


def _alias(text: str) -> str:
    if text not in connections:
        raise argparse.ArgumentTypeError(f"there is no {text!r} in DATABASES; there are {', '.join(connections)}")
    return text


def _trigger(text: str) -> str:
    if not 0 < len(text) <= MAX_TRIGGER:
        raise argparse.ArgumentTypeError(f"a trigger's name has 1 to {MAX_TRIGGER} characters")
    return text


def _zone(text: str) -> tzinfo:
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"there is no time zone {text!r}") from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError("a number of seconds, not less than none")
    return seconds


def _moment(text: str) -> datetime:
    """Return a time as the project's databases take it; of a day its beginning."""
    try:
        day = parse_date(text)
        found = datetime(day.year, day.month, day.day) if day is not None else parse_datetime(text)  # noqa: DTZ001 - see below
    except ValueError:
        found = None
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no date or time, like 2026-01-31")
    aware = timezone.make_aware(found) if timezone.is_naive(found) else found
    return aware if timezone.is_aware(timezone.now()) else timezone.make_naive(aware)
