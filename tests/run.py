"""Runs the tests on PostgreSQL and then on SQLite: `python -m tests.run [arguments of pytest]`.

Without arguments: the whole suite in parallel, with branch coverage of the second half and a floor, ending in pytest's
summary. Cases that are there for daphne and uvicorn, or for WSGI and ASGI, run with one of the two on each database.
With arguments: just these tests, on both. `--only=postgres` or `--only=sqlite` as the first argument takes one of them.
`COVERAGE_FLOOR` replaces the floor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.servers import postgres_server

ROOT = Path(__file__).resolve().parent.parent
FLOOR = "90"
"""Per cent of lines and branches that the tests' own processes run. What only a server's process does is not counted:
watching those too slows real servers down, which have to be in time."""
WORKERS = "4"
"""Twice the cores of a small machine: many tests wait for a server or a partner most of the time."""
PARALLEL = ["-n", WORKERS, "--dist", "worksteal"]


def pytest(arguments: list[str], *, database_url: str | None, half: str | None) -> int:
    """Run pytest in a process of its own, in which settings are read anew; return its exit code."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    environment |= compiled_once()
    if half is not None:
        environment["TEST_HALF"] = half
    if database_url is not None:
        environment["TEST_DATABASE_URL"] = database_url
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603 - our own


def compiled_once() -> dict[str, str]:
    """Return where the run's hundreds of processes find each other's compiled modules.

    Where Python is told to keep none, and pip has made none, each of them would compile Django for two seconds.
    """
    if not sys.dont_write_bytecode:
        return {}
    return {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(ROOT / ".pytest_cache" / "compiled"),
    }


def say(text: str) -> None:
    """Print a heading at once, before the output of the process that follows."""
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def on_postgres(arguments: list[str], *, half: str | None = None) -> int:
    """Run pytest on a PostgreSQL that lives as long as the run."""
    say("Tests on PostgreSQL")
    with postgres_server() as url:
        return pytest(arguments, database_url=url, half=half)


def on_sqlite(arguments: list[str], *, half: str | None = None) -> int:
    """Run pytest on SQLite."""
    say("Tests on SQLite")
    return pytest(arguments, database_url=None, half=half)


def whole_suite(only: str) -> int:
    """Run everything; what does not depend on the database runs once; the first failing run ends it.

    Coverage is measured in one half: it slows a run by a third, and what only PostgreSQL runs is a few lines.
    """
    floor = ["--cov-report=term", f"--cov-fail-under={os.environ.get('COVERAGE_FLOOR', FLOOR)}"]
    if only:
        run = on_postgres if only == "postgres" else on_sqlite
        return run([*PARALLEL, "--cov", *floor])
    code = on_postgres([*PARALLEL, "-m", "not once", "--ignore=tests/browser"], half="postgres")
    return code or on_sqlite([*PARALLEL, "--cov", *floor], half="sqlite")


def main(arguments: list[str]) -> int:
    """Run what the command line asks for."""
    only = ""
    if arguments and arguments[0].startswith("--only="):
        only = arguments.pop(0).removeprefix("--only=")
    if not arguments:
        return whole_suite(only)
    code = on_postgres(arguments) if only != "sqlite" else 0
    return code or (on_sqlite(arguments) if only != "postgres" else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
