"""`manage.py livereferrals import-hype`: take over the links, hits and confirmations of django-hype (I-01 to I-08)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from livereferrals.management.importing import arguments, hype_hits, hype_links, running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from django.core.management.base import OutputWrapper

    from livereferrals.management.importing.running import Job, Stage

HELP: Final = (
    "Import the links and hits of django-hype 1.0 from its tables. May be stopped and run again at any time. "
    "Example: manage.py livereferrals import-hype --dry-run"
)
TABLES: Final = (hype_links.OLD, hype_hits.OLD)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    arguments.add(parser, trigger_help="The trigger of confirmed hits; default: Imported.")


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Import, and report.

    Raises:
        CommandError: there are no such tables, or the numbers do not add up.
    """
    running.run(options, stdout, tables=TABLES, package="django-hype 1.0", stages=_stages)


def _stages(job: Job) -> Sequence[Stage]:
    links = hype_links.Links(job)
    return [links, hype_hits.Hits(job, links=links)]
