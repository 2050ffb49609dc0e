"""The shop's own tests pass, in its own settings, as they would in a host's project."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.servers import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.once
def test_the_shops_own_tests_pass(tmp_path: Path) -> None:
    """S-55: its `TestCase`-like tests see the confirmation, the others have the worker deliver it"""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "project/shop/tests",
        "--ds=project.settings",
        "-n0",
        "-q",
        "-p",
        "no:randomly",
    ]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "PYTEST_", "COV_"))
    }
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        env=environment | {"DEMO_DIR": str(tmp_path), "DATABASE_URL": "", "REDIS_URL": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 passed" in done.stdout
