"""Django on a database of its own, for runs that mistreat it: `with host_project("postgres") as postgres: ...`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import django

from tests.faults.machinery import Postgres, own_postgres
from tests.forking import nursery

if TYPE_CHECKING:
    from collections.abc import Iterator

DatabaseKind = Literal["postgres", "sqlite"]


@contextlib.contextmanager
def host_project(kind: DatabaseKind, *, within: Path | None = None) -> Iterator[Postgres | None]:
    """Set Django up with the settings of the tests on a new database; give its PostgreSQL, if that is what it is.

    `within`: where PostgreSQL has its files.
    """
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(1))  # so that everything is ended that was started
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="livereferrals-faults-")))
        postgres = stack.enter_context(own_postgres(within=within)) if kind == "postgres" else None
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_SCRATCH": str(directory),
            "TEST_DATABASE_URL": f"sqlite:///{directory}/shop.sqlite3" if postgres is None else postgres.url,
        }
        django.setup()
        from django.core.management import call_command
        from django.db import connections

        stack.callback(nursery.end)
        stack.callback(connections.close_all)
        call_command("migrate", verbosity=0)
        yield postgres
