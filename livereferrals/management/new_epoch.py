"""`manage.py livereferrals new-epoch`: after a backup was restored, have no client carry on as if nothing had been lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TextIO

from django.core.management.base import CommandError

from livereferrals.events import epochs, log

if TYPE_CHECKING:
    import argparse

HELP: Final = "Begin a new epoch of the event log, after a backup of the database was restored."
QUESTION: Final = """\
The event log has the epoch {epoch} and goes up to {head}. In a new one, every cursor that a partner has stored is
answered with "other_epoch": its client stops, and a person has to say where it goes on. Do this after a backup was
restored, because the same numbers may stand for other events now; and for no other reason.
Type "yes" to begin a new epoch: """


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--no-input", "--noinput", action="store_true", help="Do not ask.")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Ask, and begin the new epoch.

    Raises:
        CommandError: the answer was not "yes".
    """
    before = log.bounds()
    if not options["no_input"]:
        stdout.write(QUESTION.format(epoch=before.epoch, head=before.head))
        stdout.flush()
        if input() != "yes":
            raise CommandError("Nothing was changed.")
    now = epochs.begin_new_epoch()
    stdout.write(
        f"The epoch was {before.epoch} and is {now.epoch}. Open connections are closed within a poll interval;\n"
    )
    stdout.write(
        f"clients with a cursor of before are told {now.oldest_cursor} as the oldest that they can go on from.\n"
    )
