"""The core of the tests on each Python at hand with each Django that is supported: `make matrix`.

Each session has an environment of its own below `.nox`, and runs on PostgreSQL and on SQLite, with Valkey's channel layer and
with the one in memory. A Python that is not there is left out; one that is elsewhere is found on `PATH`:

    PATH="$HOME/.pyenv/versions/3.12.1/bin:$PATH" make matrix
"""

from __future__ import annotations

from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
DJANGOS = {"5.2": "django>=5.2,<5.3", "6.0": "django>=6.0,<6.1"}
OLDEST_PYTHON = {"5.2": "3.11", "6.0": "3.12"}
CORE = [
    *("tests/test_api.py", "tests/test_apps.py", "tests/test_checks.py", "tests/test_conf.py", "tests/test_models.py"),
    *(
        "tests/admin",
        "tests/client",
        "tests/events",
        "tests/front",
        "tests/management",
        "tests/shop",
        "tests/tracking",
        "tests/triggers",
    ),
    *("tests/integration", "tests/packaging"),
]
"""What differs between versions: everything that touches Django's request stack, models, forms, the loop and the layers."""

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
nox.options.envdir = str(Path(__file__).resolve().parent.parent / ".nox")


@nox.session(python=PYTHONS)
@nox.parametrize("django", list(DJANGOS))
def core(session: nox.Session, django: str) -> None:
    """Run the core on both databases."""
    session.chdir(Path(__file__).resolve().parent.parent)
    if str(session.python) < OLDEST_PYTHON[django]:
        session.skip(f"Django {django} needs Python {OLDEST_PYTHON[django]}.")
    session.install("--editable", ".[dev]", DJANGOS[django])
    session.run("python", "-m", "tests.run", *(session.posargs or CORE), "-q", "-n", "2", "-p", "no:cacheprovider")
