"""`manage.py livereferrals <sub-command>`: dispatches to the modules of `livereferrals.management`."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any, Protocol

from django.core.management.base import BaseCommand, CommandError

from livereferrals import management

if TYPE_CHECKING:
    from django.core.management.base import CommandParser, OutputWrapper


class SubCommand(Protocol):
    """What a module of `livereferrals.management` is."""

    HELP: str

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the sub-command's arguments."""

    def handle(self, options: dict[str, Any], stdout: OutputWrapper) -> None:
        """Do it; raise `CommandError` for what a person has to mend."""


class Command(BaseCommand):
    """One command with a sub-command for each module beside it."""

    help = "Work with livereferrals: workers, tokens and upkeep."
    # A sub-command may be wanted exactly because something is not right yet.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare every sub-command with its arguments."""
        subparsers = parser.add_subparsers(dest="subcommand", metavar="sub-command")
        for name, module in sub_commands().items():
            subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
            module.add_arguments(subparser)

    def handle(self, *args: object, **options: Any) -> None:
        """Run the sub-command; without one list them.

        Raises:
            CommandError: none is named.
        """
        known = sub_commands()
        if options["subcommand"] is None:
            width = max(map(len, known))
            self.stdout.write("\n".join(f"{name:{width}}  {module.HELP}" for name, module in known.items()))
            raise CommandError("Name one of these sub-commands; --help after it says what it takes.")
        known[options["subcommand"]].handle(options, self.stdout)


def sub_commands() -> dict[str, SubCommand]:
    """Return the sub-commands by name: each module of `livereferrals.management` that has a `HELP`."""
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(management.__path__):
        if info.ispkg:
            continue
        module = importlib.import_module(f"{management.__name__}.{info.name}")
        if hasattr(module, "HELP"):
            found[info.name.replace("_", "-")] = module
    return found
