"""`manage.py livereferrals export-user`: all that is stored about one user, as JSON (Y-06)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TextIO

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from livereferrals import api

if TYPE_CHECKING:
    import argparse

HELP: Final = "Print all that is stored about one user as JSON, in words that the user can follow."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("user", help="The user's login name, as your project has it.")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Print the export.

    Raises:
        CommandError: there is no such user.
    """
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: options["user"]}).first()
    if user is None:
        raise CommandError(f"There is no user whose {users.USERNAME_FIELD} is {options['user']!r}.")
    stdout.write(json.dumps(api.export_user(user), indent=2, ensure_ascii=False) + "\n")
