"""Runs of `make faults` inside the suite: each a process of its own, as by hand."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.servers import ROOT


def perform(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of `tests.faults` to its end, without the settings of this suite; all that it says is in `stdout`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", f"tests.faults.{module}", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
