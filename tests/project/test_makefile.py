"""What a developer types."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.servers import ROOT


def make(*arguments: str) -> str:
    """Return what make prints."""
    command = ["make", "--no-print-directory", *arguments]
    # Without what a make around the tests has set.
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("help",)], ids=["alone", "help"])
def test_make_lists_what_can_be_typed(arguments: tuple[str, ...]) -> None:
    assert set(re.findall(r"^(\w+) ", make(*arguments), re.MULTILINE)) == {
        "help",
        "demo",
        "test",
        "faults",
        "soak",
        "lint",
        "audit",
        "types",
        "docs",
        "matrix",
        "messages",
        "build",
        "bench",
    }


@pytest.mark.parametrize(
    ("options", "extras"),
    [
        ((), "demo"),
        (("DATABASE_URL=postgresql://db/shop",), "demo,postgres"),
        (("DATABASE_URL=postgresql://db/shop", "REDIS_URL=redis://cache"), "demo,postgres,redis"),
    ],
    ids=["sqlite", "postgresql", "postgresql and valkey"],
)
def test_demo_installs_what_it_is_to_run_on(options: tuple[str, ...], extras: str) -> None:
    printed = make("--dry-run", "--always-make", "demo", *options)
    assert f"--editable '.[{extras}]'" in printed
    assert printed.splitlines()[-1].endswith("python -m project.demo")
