"""`manage.py livereferrals what-if`: what partners would have got under another rule or window (A-13)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TextIO

from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_date

from livereferrals import conf, setting_types, times
from livereferrals.callbacks.models import Subscription
from livereferrals.tracking import history, rules
from livereferrals.tracking.amounts import canonical_amount
from livereferrals.tracking.history import Person, Question
from livereferrals.tracking.models import Confirmation

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from livereferrals.tracking.models import Partner

HELP = "Print, by partner, what was confirmed and what would have been under another rule or window. Writes nothing."
AT_ONCE: Final = 500
HOUSE: Final = "(no partner)"
NOBODY: Final = "(nobody)"


@dataclass(slots=True)
class Sums:
    """What one partner has got, or would have got."""

    confirmations: int = 0
    micros: Counter[str] = field(default_factory=Counter)
    """Amounts in millionths, by currency: never added up across currencies (N-07)."""

    def add(self, confirmation: Confirmation) -> None:
        """Add a confirmation, less what was taken back of it."""
        self.confirmations += 1
        if confirmation.amount_micros is not None:
            self.micros[confirmation.currency] += confirmation.amount_micros - confirmation.reversed_micros

    def __str__(self) -> str:
        sums = (f"{canonical_amount(self.micros[code], code)} {code}" for code in sorted(self.micros))
        return f"{self.confirmations:>6}  {', '.join(sums) or '-'}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--rule", help="last_click, first_click or a dotted path; default: as the settings say.")
    parser.add_argument("--window", metavar="DAYS", help='Days that a hit may be old, or "none"; default: the setting.')
    parser.add_argument("--since", metavar="DATE", help="Confirmations from this day on, for example 2026-01-01.")
    parser.add_argument("--until", metavar="DATE", help="Confirmations before this day.")
    parser.add_argument("--trigger", metavar="NAME", help="Confirmations of this trigger alone.")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Print the comparison.

    Raises:
        CommandError: an argument that means nothing.
    """
    rule, window = _rule(options["rule"]), _window(options["window"])
    now: dict[str, Sums] = {}
    then: dict[str, Sums] = {}
    moved = 0
    for confirmation in _confirmations(options).iterator(chunk_size=AT_ONCE):
        was = _name(confirmation.partner)
        would = _would_get(confirmation, rule=rule, window=window)
        now.setdefault(was, Sums()).add(confirmation)
        then.setdefault(would, Sums()).add(confirmation)
        moved += was != would
    limit = "none" if window is None else f"{window.days} days"
    stdout.write(f"Rule {rule}, window {limit}; {moved} confirmations would belong to somebody else.\n\n")
    stdout.writelines(f"{line}\n" for line in _table(now, then))


def _confirmations(options: dict[str, Any]) -> QuerySet[Confirmation]:
    """Return the confirmations that stand and that the command line asks for."""
    wanted = Q(reversed_at__isnull=True)
    if options["since"]:
        wanted &= Q(occurred_at__gte=_moment(options["since"]))
    if options["until"]:
        wanted &= Q(occurred_at__lt=_moment(options["until"]))
    if options["trigger"]:
        wanted &= Q(trigger=options["trigger"])
    return Confirmation.objects.filter(wanted).select_related("partner", "user", "visitor").order_by("occurred_at")


def _would_get(confirmation: Confirmation, *, rule: str, window: timedelta | None) -> str:
    """Return who would have got it, of the hits that were there and the subscriptions of that time. 1 to 3 queries."""
    at = confirmation.occurred_at
    of_that_time = Subscription.objects.filter(
        Q(archived_at__isnull=True) | Q(archived_at__gt=at), trigger=confirmation.trigger
    )
    found = history.attribute(
        Person(user=confirmation.user, visitor=confirmation.visitor),
        Question(
            at=at,
            rule=rule,
            window=window,
            subscribed=of_that_time.values("partner_id"),
            until=max(at, confirmation.created_at),
        ),
    )
    return NOBODY if found.hit is None else _name(found.hit.partner)


def _name(partner: Partner | None) -> str:
    return HOUSE if partner is None else f"{partner.name} ({partner.uid})"


def _table(now: dict[str, Sums], then: dict[str, Sums]) -> Iterable[str]:
    names = sorted(now.keys() | then.keys())
    width = max(map(len, [*names, "partner"]))
    columns = {name: (str(now.get(name, Sums())), str(then.get(name, Sums()))) for name in names}
    middle = max([len(is_now) for is_now, _ in columns.values()] + [len("as it is")])
    yield f"{'partner':{width}}  {'as it is':{middle}}  as it would be"
    for name in names:
        is_now, would_be = columns[name]
        yield f"{name:{width}}  {is_now:{middle}}  {would_be}"


def _rule(text: str | None) -> str:
    rule = conf.settings.ATTRIBUTION if text is None else text
    try:
        found = setting_types.rule(rule)
        if rules.is_path(found):
            rules.load(found)
    except (ImportError, ValueError) as error:
        raise CommandError(f"--rule: {error}.") from error
    return found


def _window(text: str | None) -> timedelta | None:
    if text is None:
        return conf.settings.ATTRIBUTION_WINDOW
    if text == "none":
        return None
    if not text.isdecimal() or not 0 < int(text) <= 36_500:
        raise CommandError(f'--window: a number of days or "none", not {text!r}.')
    return timedelta(days=int(text))


def _moment(text: str) -> datetime:
    """Return the day's beginning in the project's time zone."""
    try:
        day = parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"{text!r} is no day; write it like 2026-01-31.")
    return times.as_stored(timezone.make_aware(datetime(day.year, day.month, day.day, tzinfo=UTC).replace(tzinfo=None)))
