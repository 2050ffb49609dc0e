"""Databases with a year of hits, filled once in a run: for the dashboard, which reads them, and for who copies them.

`python -m benchmarks.filled HITS` fills the database that `BENCH_DATABASE_URL` names.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import django

from benchmarks import templates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.outcomes import Conditions
    from benchmarks.templates import Database

KEPT = 1_000_000
"""Up to so many hits are kept until the run ends: five million are gigabytes."""
SETTINGS = {"DJANGO_SETTINGS_MODULE": "benchmarks.host.settings"}


@contextlib.contextmanager
def made(conditions: Conditions, databases: list[Database], hits: int) -> Iterator[dict[Database, str]]:
    """Fill what is not filled yet, at the same time; give the addresses, only to be read. Nothing fills meanwhile."""
    with ThreadPoolExecutor(len(databases)) as threads:
        jobs = {
            database: threads.submit(templates.made, conditions, _name(hits), database, partial(_fill, hits=hits))
            for database in databases
        }
    try:
        yield {database: job.result() for database, job in jobs.items()}
    finally:
        for database in databases if hits > KEPT else ():
            templates.drop(conditions, _name(hits), database)


def copied(conditions: Conditions, database: Database, hits: int) -> str:
    """Return the address of a copy of this measurement's own."""
    return templates.copied(conditions, _name(hits), database, partial(_fill, hits=hits))


def _name(hits: int) -> str:
    return f"hits_{hits}"


def _fill(url: str, *, hits: int) -> None:
    command = [sys.executable, "-m", "benchmarks.filled", str(hits)]
    subprocess.run(command, check=True, env=os.environ | SETTINGS | {"BENCH_DATABASE_URL": url})  # noqa: S603 - our own command


def main() -> None:
    """Migrate and fill the database."""
    os.environ |= SETTINGS
    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from benchmarks.filling import fill

    call_command("migrate", verbosity=0)
    fill(int(sys.argv[1]))
    connection.close()


if __name__ == "__main__":
    main()
