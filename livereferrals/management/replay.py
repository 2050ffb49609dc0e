"""`manage.py livereferrals replay`: makes ended deliveries of a span of time once more, at a rate."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from livereferrals import times
from livereferrals.callbacks import replaying
from livereferrals.callbacks.models import Replay, ReplayState, Subscription
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    import argparse

    from django.core.management.base import OutputWrapper

HELP: Final = "Make the ended deliveries of a span of time once more, with the same ids, so many a second."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--partner", metavar="UID", help="The partner whose deliveries are meant.")
    parser.add_argument("--trigger", metavar="NAME", help="Only those of its subscription to this trigger.")
    parser.add_argument(
        "--subscription", type=int, metavar="N", help="One subscription, by its number, in place of both."
    )
    parser.add_argument("--since", metavar="TIME", help="From when the confirmations were made: 2026-05-01T12:00.")
    parser.add_argument("--until", metavar="TIME", help="To when; default: now.")
    parser.add_argument("--delivered", action="store_true", help="Also what was delivered: the partner gets it again.")
    parser.add_argument(
        "--rate", type=int, default=replaying.USUAL_RATE, metavar="N", help="Calls a second; default: %(default)s."
    )
    parser.add_argument(
        "--yes", action="store_true", help="Do it; else a person at a terminal is asked, and a script told."
    )
    parser.add_argument("--list", action="store_true", help="Print the replays that are running.")
    parser.add_argument("--stop", metavar="ID", help="End a replay, by the id that --list prints.")


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Do what the command line says.

    Raises:
        CommandError: something that it names does not exist or cannot be.
    """
    if options["list"]:
        _list(stdout)
    elif options["stop"]:
        _stop(options["stop"], stdout)
    else:
        _replay(options, stdout)


def _replay(options: dict[str, Any], stdout: OutputWrapper) -> None:
    if not ((options["partner"] or options["subscription"]) and options["since"]):
        raise CommandError("Say whose deliveries and from when: --partner UID --since TIME, or --subscription N.")
    subscriptions = _subscriptions(options)
    since = _moment(options["since"])
    until = _moment(options["until"]) if options["until"] else timezone.now()
    spans = [
        (row, replaying.Span(subscription=row.pk, since=since, until=until, with_delivered=options["delivered"]))
        for row in subscriptions
    ]
    wanted = []
    for row, span in spans:
        preview = replaying.preview(span)
        much = f"more than {replaying.MOST}" if preview.is_too_much else str(preview.count)
        stdout.write(f"{row}: {much} calls")
        if preview.count:
            wanted.append((row, span))
    if not wanted:
        stdout.write("There is nothing to replay in this time.")
    elif not (options["yes"] or _agreed(stdout)):
        stdout.write(f"Nothing was done. Add --yes to make these calls, {options['rate']} a second for each line.")
    else:
        _begin(wanted, options["rate"], stdout)


def _agreed(stdout: OutputWrapper) -> bool:
    """Ask whoever sits at the terminal; where nobody does, the answer is no."""
    if not sys.stdin.isatty():
        return False
    stdout.write("Make these calls? [y/N] ", ending="")
    stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _begin(wanted: list[tuple[Subscription, replaying.Span]], rate: int, stdout: OutputWrapper) -> None:
    for row, span in wanted:
        try:
            replay = replaying.begin(span, per_second=rate, by=None)
        except replaying.ReplayRefusedError as error:
            raise CommandError(f"{row}: {error}") from error
        stdout.write(f"Begun: {replay.pk}. To end it: livereferrals replay --stop {replay.pk}")
    stdout.write("The workers do it from here.")


def _list(stdout: OutputWrapper) -> None:
    for row in Replay.objects.filter(state=ReplayState.RUNNING).select_related("subscription__partner"):
        stdout.write(f"{row.pk}  {row.subscription}  {row.done} of {row.counted}, {row.per_second} a second")


def _stop(text: str, stdout: OutputWrapper) -> None:
    try:
        row = Replay.objects.select_related("subscription").get(pk=text)
    except (Replay.DoesNotExist, ValidationError) as error:
        raise CommandError(f"There is no replay {text!r}.") from error
    stdout.write("Stopped." if replaying.stop(row, by=None) else "It had ended already.")


def _subscriptions(options: dict[str, Any]) -> list[Subscription]:
    rows = Subscription.objects.filter(archived_at__isnull=True).exclude(callback_url="").select_related("partner")
    if options["subscription"]:
        rows = rows.filter(pk=options["subscription"])
    else:
        rows = rows.filter(partner=_partner(options["partner"]))
        rows = rows.filter(trigger=options["trigger"]) if options["trigger"] else rows
    found = list(rows)
    if not found:
        raise CommandError("There is no such subscription that is called.")
    return found


def _partner(uid: str) -> Partner:
    partner = Partner.objects.filter(uid=uid).first()
    if partner is None:
        raise CommandError(f"There is no partner {uid!r}.")
    return partner


def _moment(text: str) -> datetime:
    """Return the time that the text spells, in the project's zone where it names none; a day is its midnight."""
    try:
        day = parse_date(text)
        found = parse_datetime(text) if day is None else datetime(day.year, day.month, day.day)  # noqa: DTZ001 - below
    except ValueError as error:
        raise CommandError(f"{text!r} is no time: {error}.") from error
    if found is None:
        raise CommandError(f"{text!r} is no time; write it like 2026-05-01T12:00.")
    return times.as_stored(times.as_aware(found))
