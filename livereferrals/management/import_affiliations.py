"""`manage.py livereferrals import-affiliations`: take over what django-affiliate-tracking has (I-01 to I-06, I-09 to I-13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from livereferrals.management.importing import affiliate_visitors, arguments, partners, running, subscriptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from django.core.management.base import OutputWrapper

    from livereferrals.management.importing.running import Job, Stage

HELP: Final = (
    "Import the partners, subscriptions and visitors of django-affiliate-tracking 0.12 from its tables. May be stopped and "
    "run again at any time. Example: manage.py livereferrals import-affiliations --dry-run"
)
TABLES: Final = (partners.OLD, subscriptions.OLD, affiliate_visitors.OLD)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    arguments.add(
        parser,
        trigger_help="The trigger of successful visitors whose partner is subscribed to none or several; default: Imported.",
    )


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Import, and report.

    Raises:
        CommandError: there are no such tables, or the numbers do not add up.
    """
    running.run(options, stdout, tables=TABLES, package="django-affiliate-tracking 0.12", stages=_stages)


def _stages(job: Job) -> Sequence[Stage]:
    found = partners.Partners(job)
    return [found, subscriptions.Subscriptions(job, partners=found), affiliate_visitors.Visitors(job, partners=found)]
