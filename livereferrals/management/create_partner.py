"""`manage.py livereferrals create-partner`: makes a partner with its home link and subscriptions, for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import router, transaction

from livereferrals import routes
from livereferrals.callbacks.models import Subscription
from livereferrals.tracking.models import Partner
from livereferrals.triggers import catalogue

if TYPE_CHECKING:
    from django.core.management.base import CommandParser, OutputWrapper

HELP: Final = "Make an active partner with its link and subscriptions; prints its uid and where its link leads."


def add_arguments(parser: CommandParser) -> None:
    """Declare the command line."""
    parser.add_argument("name", help="The partner's name.")
    parser.add_argument(
        "--trigger",
        action="append",
        default=[],
        metavar="NAME",
        help="Subscribe it to this trigger; may be given again.",
    )
    parser.add_argument("--callback", default="", metavar="URL", help="Where it is called at each confirmation.")


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Make the partner. One transaction: nothing is made where something is wrong.

    Raises:
        CommandError: a trigger that is none, an address that may not be called, or an address for nothing.
    """
    try:
        catalogue.require(options["trigger"])
    except ValueError as error:
        raise CommandError(str(error)) from error
    if options["callback"] and not options["trigger"]:
        raise CommandError("--callback needs a --trigger: without one it would never be called.")
    try:
        with transaction.atomic(using=router.db_for_write(Partner)):
            partner = _made(Partner(name=options["name"], active=True))
            for name in dict.fromkeys(options["trigger"]):
                _made(Subscription(partner=partner, trigger=name, callback_url=options["callback"]))
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    stdout.write(f"{partner.uid}")
    stdout.write(_link_of(partner))


def _made(row: Any) -> Any:
    """Check a row as the admin's form does, and save it."""
    row.full_clean()
    row.save()
    return row


def _link_of(partner: Partner) -> str:
    identifier = partner.links.get(home=True).identifier
    return routes.path_of("livereferrals:link", identifier) or identifier
