"""The older packages themselves, each in an environment of its own, made from the package index.

`python -m tests.importing.real` records anew what their sites leave in their tables (`recorded/`).
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import venv
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded"
PACKAGES = {
    "hype": ["django-hype==1.0.0", "Django>=5.2,<5.3"],
    # It names no upper bound, and works with no newer Django.
    "affiliations": ["django-affiliate-tracking==0.12", "Django==1.11.29", "django-tls==0.0.2", "requests", "mock"],
}


def environment(kind: str, place: Path) -> Path:
    """Make an environment with one of the packages; return its Python."""
    venv.create(place, with_pip=True, symlinks=True)
    python = place / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES[kind]]
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own
    return python


def run_site(kind: str, python: Path, database: Path) -> dict[str, Any]:
    """Let people use the old site; return what its tables hold then."""
    command = [str(python), str(HERE / "sites" / f"{kind}_site.py"), str(database)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def dumped(kind: str, database: Path) -> str:
    """Return the package's own tables as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        lines = [line for line in connection.iterdump() if f'"{kind}_' in line and "sqlite_sequence" not in line]
    return "\n".join(lines) + "\n"


def load(kind: str, database: Path) -> dict[str, Any]:
    """Make a database of what was recorded; return what its tables hold."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript((RECORDED / f"{kind}.sql").read_text())
        connection.commit()
    found: dict[str, Any] = json.loads((RECORDED / f"{kind}.json").read_text())
    return found


def record() -> None:
    """Record both."""
    with tempfile.TemporaryDirectory() as place:
        for kind in PACKAGES:
            database = Path(place) / f"{kind}.sqlite3"
            found = run_site(kind, environment(kind, Path(place) / kind), database)
            (RECORDED / f"{kind}.json").write_text(json.dumps(found, indent=1) + "\n")
            (RECORDED / f"{kind}.sql").write_text(dumped(kind, database))
            sys.stdout.write(f"recorded {kind}\n")


if __name__ == "__main__":
    record()
