"""`manage.py livereferrals prune`: forget what is older than the settings keep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from django.core.management.base import CommandError

from livereferrals.housekeeping.forgetting import KINDS, present

if TYPE_CHECKING:
    import argparse

    from livereferrals.housekeeping.forgetting import Kind

HELP: Final = "Forget what is older than the settings keep; workers do it by themselves, every hour."
REPORT_EVERY_S: Final = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    names = ", ".join(kind.name for kind in KINDS)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"Only these, of {names}; default: all.")
    parser.add_argument("--dry-run", action="store_true", help="Say how much it would be, and change nothing.")
    parser.add_argument("--pause", type=float, default=0.02, metavar="S", help="Rest between batches; default: 0.02 s.")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Forget batch by batch, and report. It may be stopped at any moment, and run while everything else does.

    Raises:
        CommandError: there is no such kind.
    """
    if options["pause"] < 0:
        raise CommandError("--pause: a number of seconds, not less than none.")
    for kind in _chosen(options["kinds"]):
        if options["dry_run"]:
            stdout.write(f"{kind.name:12}{kind.count(present()):>10}  would be {kind.does}\n")
        else:
            total = _prune(kind, pause_s=options["pause"], stdout=stdout)
            stdout.write(f"{kind.name:12}{total:>10}  {kind.does}\n")


def _prune(kind: Kind, *, pause_s: float, stdout: TextIO) -> int:
    total, reported_at = 0, time.monotonic()
    for count in kind.prune(present()):
        total += count
        if time.monotonic() - reported_at > REPORT_EVERY_S:
            reported_at = time.monotonic()
            stdout.write(f"{kind.name:12}{total:>10}  so far\n")
            stdout.flush()
        time.sleep(pause_s)
    return total


def _chosen(names: list[str]) -> list[Kind]:
    known = {kind.name: kind for kind in KINDS}
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"There is no kind {unknown[0]!r}; known are {', '.join(known)}.")
    return [known[name] for name in names] if names else list(KINDS)
