"""`manage.py livereferrals create-group`: makes the group of those who look after partners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.models import Group, Permission
from django.core.management.base import CommandError
from django.db import transaction

if TYPE_CHECKING:
    from django.core.management.base import CommandParser, OutputWrapper

HELP: Final = "Make the group of people who look after partners, with the permissions that they need."
NAME: Final = "Referral managers"
PERMISSIONS: Final = frozenset(
    {
        *(
            f"{act}_{model}"
            for act in ("view", "add", "change")
            for model in ("partner", "referrallink", "subscription")
        ),
        "view_referralhit",
        "view_confirmation",
        "view_delivery",
        "view_deliveryattempt",
        "view_dashboard",
        "view_amounts",
        "reverse_confirmation",
        "retry_delivery",
        "send_test_callback",
        "hold_endpoint",
        "export_referrals",
    }
)
"""No deleting, no people (`view_visitor`), no secrets, no tokens, no plain HTTP, no erasure: those are given one by one."""


def add_arguments(parser: CommandParser) -> None:
    """Declare the command line."""
    parser.add_argument("--name", default=NAME, help="The group's name; default: %(default)s.")


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Make the group, or give one that is there what it lacks; what it has besides stays. One transaction.

    Raises:
        CommandError: the permissions are not there yet.
    """
    permissions = Permission.objects.filter(content_type__app_label="livereferrals", codename__in=PERMISSIONS)
    missing = PERMISSIONS - set(permissions.values_list("codename", flat=True))
    if missing:
        raise CommandError(f"Run manage.py migrate first: there is no permission {min(missing)!r}.")
    with transaction.atomic():
        group, is_new = Group.objects.get_or_create(name=options["name"])
        group.permissions.add(*permissions)
    stdout.write(
        f"The group {group.name!r} {'was made' if is_new else 'is up to date'}: put people in it in the admin."
    )
    stdout.write("They also need the staff status to log in there.")
