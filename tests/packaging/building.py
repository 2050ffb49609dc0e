"""Building the distributions, and an empty virtual environment that has one of them."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def build(out: Path, *what: str, source: Path = ROOT) -> Path:
    """Build wheel, sdist or both into a directory and return it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *what, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def empty_environment(place: Path, wheel: Path) -> Path:
    """Make a virtual environment with the wheel installed and return its `bin`.

    Dependencies are those of this environment, by a path file: fetching them anew would test the package index. A path
    file's directory is searched, but path files in it are not read, so that the editable install of this checkout is
    out of sight.
    """
    venv.create(place, with_pip=False, symlinks=True)
    bin_directory = place / "bin"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check", str(wheel)]
    command = [sys.executable, "-m", "pip", "--python", str(bin_directory / "python"), *install]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stdout + done.stderr
    (packages,) = place.glob("lib/python*/site-packages")
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(here)) + "\n")
    return bin_directory
