"""One import: its stages one after the other, batch by batch, and its report."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from django.core.management.base import CommandError
from django.db import IntegrityError, router, transaction
from django.utils import timezone

from livereferrals.dashboard import rollups
from livereferrals.management.importing import totals
from livereferrals.management.importing.moments import Moments
from livereferrals.management.importing.reporting import Report
from livereferrals.management.importing.source import Source
from livereferrals.management.progress import Output
from livereferrals.tracking.models import ReferralHit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from django.core.management.base import OutputWrapper

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.reporting import Tally
    from livereferrals.management.importing.source import Table

logger = logging.getLogger(__name__)

DEFAULT_TRIGGER: Final = "Imported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every stage of an import needs to know."""

    source: Source
    moments: Moments
    using: str
    """The database of our tables."""
    report: Report
    dry_run: bool
    trigger: str
    """Of confirmations whose trigger the old tables do not name."""
    keep_ips: bool


class Stage(Protocol):
    """One old table."""

    tally: Tally

    @property
    def old(self) -> Table[Any]:
        """Which one."""

    def take(self, rows: Sequence[Any], state: RollupState | None) -> None:
        """Import some rows, in the transaction that holds the lock; without a lock, say what would become of them."""


def run(
    options: Mapping[str, Any],
    stdout: OutputWrapper,
    *,
    tables: Collection[Table[Any]],
    package: str,
    stages: Callable[[Job], Sequence[Stage]],
) -> None:
    """Import what the command line says.

    Raises:
        CommandError: the tables are not there, a row was changed meanwhile, or the numbers do not add up.
    """
    output = Output(stdout, quiet=options["quiet"])
    job = _job(options, output)
    job.source.require(tables, package=package)
    if not job.dry_run:
        rollups.advance()  # a change of TIME_ZONE is settled before totals are added
    try:
        for stage in stages(job):
            _run_stage(stage, job=job, output=output, pause_s=options["pause"])
    except IntegrityError as error:
        raise CommandError(f"A row that the import needs was deleted meanwhile; run it again. ({error})") from error
    finally:
        output.end()
    for line in job.report.lines():
        output.line(line)
    if not job.report.adds_up:
        raise CommandError("The numbers do not add up.")
    if not job.dry_run:
        _log(job.report, package=package)


def _job(options: Mapping[str, Any], output: Output) -> Job:
    source = Source(alias=options["database"], since=options["since"])
    moments = Moments(zone=options["time_zone"] or source.zone(), now=timezone.now())
    return Job(
        source=source,
        moments=moments,
        using=router.db_for_write(ReferralHit),
        report=Report(dry_run=options["dry_run"], say=output.line),
        dry_run=options["dry_run"],
        trigger=options["trigger"],
        keep_ips=options["keep_ips"],
    )


def _run_stage(stage: Stage, *, job: Job, output: Output, pause_s: float) -> None:
    output.begin(stage.old.name, total=job.source.count(stage.old))
    for rows in job.source.batches(stage.old):
        stage.tally.read += len(rows)
        if job.dry_run:
            stage.take(rows, None)
        else:
            with transaction.atomic(using=job.using):
                stage.take(rows, totals.take_lock(using=job.using))
            time.sleep(pause_s)  # on SQLite, where there is one writer, the site's hits go between two batches
        output.progress(stage.tally.read)
    output.end()


def _log(report: Report, *, package: str) -> None:
    """Say once what was imported: single rows are not in the event log, and no signal is sent for them (I-12)."""
    logger.info(
        "Rows of %s were imported.",
        package,
        extra={"action": "import.done", "tables": {tally.table: tally.facts() for tally in report.tallies}},
    )
