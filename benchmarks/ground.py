"""The ground of a benchmark: a migrated database of its own, and a server process on it."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from collections.abc import Iterator

UNLIMITED = 1_000_000


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Set Django up with the tests' settings and make the tables: SQLite, or what `TEST_DATABASE_URL` names."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from django.conf import settings  # noqa: TID251 - the tests' own
    from django.core.management import call_command

    scratch = Path(settings.SCRATCH)
    scratch.mkdir(mode=0o700)
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def resident_kib(pid: int) -> int:
    """Return the memory that a process has for itself alone, in KiB (Linux)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
