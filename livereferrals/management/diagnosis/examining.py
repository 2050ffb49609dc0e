"""The examinations in their order; what needs a database with our tables is left out where there is none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from livereferrals.management.diagnosis import deliveries, layer, processes, set_up, storage, triggers, wiring
from livereferrals.management.diagnosis.findings import Finding, Level, error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Examination = Callable[[], Iterable[Finding]]

logger = logging.getLogger(__name__)

GROUND: Final[tuple[Examination, ...]] = (set_up.checks, storage.database)
WITHOUT_TABLES: Final[tuple[Examination, ...]] = (
    layer.round_trip,
    wiring.urls,
    wiring.application,
    wiring.static_files,
)
WITH_TABLES: Final[tuple[Examination, ...]] = (
    storage.clock,
    processes.running,
    deliveries.overdue,
    triggers.connected,
    triggers.subscribed,
)


def examine() -> Iterator[Finding]:
    """Try everything, and give what was found as it is found. Writes nothing but a message to ourselves on the layer."""
    ground = [finding for examination in GROUND for finding in _guarded(examination)]
    yield from ground
    for examination in WITHOUT_TABLES:
        yield from _guarded(examination)
    if any(finding.about in storage.NEEDED and finding.level is Level.ERROR for finding in ground):
        return
    for examination in WITH_TABLES:
        yield from _guarded(examination)


def _guarded(examination: Examination) -> list[Finding]:
    name = f"{examination.__module__.rpartition('.')[2]}.{examination.__qualname__}"
    try:
        return list(examination())
    except Exception as problem:
        # Whatever is broken here is what the doctor was called for; the other examinations go on.
        logger.exception("The examination %s failed.", name, extra={"action": "doctor.failed"})
        return [error(name, f"This could not be examined: {type(problem).__name__}: {problem}", advice="See the log.")]
