"""`manage.py livereferrals rollup`: bring the dashboard's totals up to date, compare them with the log, or make them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TextIO

from django.core.management.base import CommandError

from livereferrals.dashboard import rebuilding, rollups

if TYPE_CHECKING:
    import argparse

HELP: Final = "Bring the dashboard's totals up to date; compare them with the event log, or make them anew from it."
SHOWN: Final = 20
"""Differences that are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    acts = parser.add_mutually_exclusive_group()
    acts.add_argument("--check", action="store_true", help="Only compare; ends with 1 if anything differs.")
    acts.add_argument("--rebuild", action="store_true", help="Make anew every total whose events are all in the log.")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Do what the command line says.

    Raises:
        CommandError: totals differ, or the log was pruned while it was read.
    """
    try:
        if options["check"]:
            _check(stdout)
        elif options["rebuild"]:
            stdout.write(f"{rebuilding.rebuild()} totals were made anew.\n")
        else:
            stdout.write(f"{rollups.advance()} events were added to the totals.\n")
    except rebuilding.LogMoved as error:
        raise CommandError(str(error)) from error


def _check(stdout: TextIO) -> None:
    found = rebuilding.check()
    for difference in found[:SHOWN]:
        stdout.write(f"{difference}\n")
    if found:
        raise CommandError(f"{len(found)} totals differ from the event log; rollup --rebuild makes them anew.")
    stdout.write("The totals are what the event log says.\n")
