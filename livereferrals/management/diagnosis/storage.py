"""The database: whether it answers, has our tables, keeps what it has said, and knows the time."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import Error, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from livereferrals.callbacks import clock as common_clock
from livereferrals.events.models import Event, ProcessStatus
from livereferrals.management.diagnosis.findings import Finding, error, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE: Final = "Database"
MIGRATIONS: Final = "Migrations"
CLOCK: Final = "Clock"
NEEDED: Final = {DATABASE, MIGRATIONS}
"""What must be well before anything can be read."""
SKEW: Final = timedelta(seconds=5)
"""Clocks that differ by more make waiting times and the order of what is shown look odd."""
FULL: Final = 2
"""`PRAGMA synchronous`: every commit is on the disk before it is answered."""


def database() -> Iterator[Finding]:
    """Try the database, and look whether our migrations have been applied."""
    alias = router.db_for_write(Event)
    connection: Any = connections[alias]
    began = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as problem:
        yield error(
            DATABASE,
            f"{alias!r} does not answer: {problem}".strip(),
            advice="Start it, or mend DATABASES; nothing is recorded meanwhile.",
        )
        return
    took_ms = (time.perf_counter() - began) * 1000
    yield ok(DATABASE, f"{connection.display_name} ({alias!r}) answers in {took_ms:.1f} ms.")
    if connection.vendor == "sqlite":
        yield from _sqlite(connection)
    yield from _migrations(connection)


def _sqlite(connection: Any) -> Iterator[Finding]:
    """Say what the file really does; the system check sees only the settings."""
    with connection.cursor() as cursor:
        journal, synchronous = (
            cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        )
    if connection.is_in_memory_db():
        yield warning(DATABASE, "It lives in memory and ends with its process.", advice="Give DATABASES a file.")
    elif str(journal).lower() != "wal":
        yield warning(
            DATABASE,
            f"Its journal mode is {journal}: readers wait for writers.",
            advice='"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" in OPTIONS of DATABASES.',
        )
    elif synchronous < FULL:
        yield warning(
            DATABASE,
            "A commit does not wait for the disk: a loss of power can lose hits that were answered.",
            advice='"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" in OPTIONS of DATABASES.',
        )
    else:
        yield ok(DATABASE, "Its journal mode is WAL, and commits wait for the disk.")


def _migrations(connection: Any) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    targets = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "livereferrals"]
    waiting = [
        migration.name for migration, _ in executor.migration_plan(targets) if migration.app_label == "livereferrals"
    ]
    if waiting:
        yield error(MIGRATIONS, f"Not applied: {', '.join(waiting)}.", advice="manage.py migrate")
    else:
        yield ok(MIGRATIONS, "All are applied.")


def clock() -> Iterator[Finding]:
    """Compare this machine's clock with the database's, and with what other processes have written."""
    alias = router.db_for_write(Event)
    away = abs(common_clock.now(alias) - timezone.now())
    newest = ProcessStatus.objects.using(alias).order_by("-seen_at").values_list("seen_at", flat=True).first()
    ahead = (newest - timezone.now()) if newest is not None else timedelta()
    if away > SKEW:
        yield warning(
            CLOCK,
            f"This machine and the database differ by {away.total_seconds():.0f} s.",
            advice="Let NTP set the clocks of both.",
        )
    elif ahead > SKEW:
        yield warning(
            CLOCK,
            f"Another process is {ahead.total_seconds():.0f} s ahead of this machine.",
            advice="Let NTP set the clocks of all machines.",
        )
    else:
        yield ok(CLOCK, "This machine, the database and the other processes agree.")
