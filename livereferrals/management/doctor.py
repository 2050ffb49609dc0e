"""`manage.py livereferrals doctor`: tries every part and says what to do; or explains what would happen to somebody."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TextIO

from django.core.management.base import CommandError

from livereferrals import api
from livereferrals.dashboard.dry_run import find_person
from livereferrals.management.diagnosis import Finding, Level, examine
from livereferrals.management.diagnosis.findings import counted
from livereferrals.tracking import sentences
from livereferrals.tracking.models import Partner, Visitor
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from livereferrals.triggers.confirming import Result

HELP: Final = (
    "Try every part of livereferrals and say what to do; or explain what a trigger would do for somebody, and why."
)
SIGNS: Final = {Level.OK: "ok", Level.WARNING: "WARNING", Level.ERROR: "ERROR"}
WIDTH: Final = max(map(len, SIGNS.values()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--strict", action="store_true", help="End with 1 for warnings too.")
    parser.add_argument("--trigger", metavar="NAME", help="Explain what this trigger would do now ...")
    parser.add_argument("--user", metavar="WHO", help="... for this user (login name or id) or visitor (id).")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Print a line for each thing that was tried, or the explanation.

    Raises:
        CommandError: something is wrong (with `--strict`: or doubtful), or an argument means nothing.
    """
    if options["trigger"] or options["user"]:
        stdout.writelines(f"{line}\n" for line in _explained(options["trigger"], options["user"]))
        return
    levels: Counter[Level] = Counter()
    for finding in examine():
        levels[finding.level] += 1
        stdout.write(_line(finding))
    errors, warnings = levels[Level.ERROR], levels[Level.WARNING]
    summary = (
        f"{counted(errors, 'error', 'errors')}, {counted(warnings, 'warning', 'warnings')}, {levels[Level.OK]} well."
    )
    if errors or (options["strict"] and warnings):
        raise CommandError(summary)
    stdout.write(f"{summary}\n")


def _line(finding: Finding) -> str:
    told = f"{SIGNS[finding.level]:{WIDTH}}  {finding.about}: {finding.text}\n"
    return told if not finding.advice else f"{told}{'':{WIDTH}}  -> {finding.advice}\n"


def _explained(trigger: str | None, who: str | None) -> Iterator[str]:
    if not trigger or not who:
        raise CommandError("--trigger and --user belong together: what is asked for, and of whom.")
    if trigger not in {each.name for each in catalogue.triggers()}:
        raise CommandError(f"No trigger is named {trigger!r}. There are: {_names()}.")
    person = find_person(who)
    if person is None:
        raise CommandError(f"There is no user and no visitor {who!r}.")
    reference = catalogue.next_reference(trigger)
    if isinstance(person, Visitor):
        yield from _told(api.attribute(trigger, visitor=person, reference=reference))
    else:
        yield from _told(api.attribute(trigger, user=person, reference=reference))


def _told(result: Result) -> Iterator[str]:
    uids = sentences.partners_in(result.trace)
    story = sentences.told(result.trace, names=dict(Partner.objects.filter(uid__in=uids).values_list("uid", "name")))
    yield story.outcome
    yield from (sentence for sentence in (story.subject, story.rule) if sentence)
    for hit in story.hits:
        yield f"- {hit.link}{f' ({hit.partner})' if hit.partner else ''}, {hit.age}: {hit.verdict}"
    if story.omitted:
        yield story.omitted
    if result.confirmation is not None:
        yield f"It was confirmed before, at {result.confirmation.occurred_at:%Y-%m-%d %H:%M} UTC."


def _names() -> str:
    return ", ".join(repr(each.name) for each in catalogue.triggers()) or "none"
