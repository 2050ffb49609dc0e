"""The committed bundle is what the sources give, and the sources pass their own tests.

Neither the demo nor an install needs Node; where it is missing these tests say that they were left out.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import django_htmx
import pytest
from django_htmx.jinja import htmx_script

ROOT = Path(__file__).resolve().parents[2]
FRONTEND = ROOT / "frontend"
STATIC = ROOT / "livereferrals/static/livereferrals"
BUNDLE_BYTES = 12 * 1024
SCRIPT_BYTES = 45 * 1024
STYLE_BYTES = 15 * 1024
MODULE_LINES = 200
NPM_TIMEOUT_S = 240

pytestmark = pytest.mark.once


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the npm workspace."""
    return subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=FRONTEND,
        capture_output=True,
        text=True,
        check=False,
        timeout=NPM_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="session")
def npm() -> str:
    """The path of npm, with the workspace's packages installed as the lock file has them."""
    found = shutil.which("npm")
    if found is None or shutil.which("node") is None:
        pytest.skip("Node is not installed: the bundle was not rebuilt and the JavaScript tests were not run.")
    with (FRONTEND / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers of xdist may want to install too
        if not (FRONTEND / "node_modules/.package-lock.json").exists():
            installed = run(found, "ci", "--ignore-scripts")
            if installed.returncode != 0 and not os.environ.get("CI"):
                pytest.skip(f"`npm ci` did not work, the JavaScript tests were not run: {installed.stderr[-300:]}")
            assert installed.returncode == 0, installed.stderr
    return found


def test_committed_bundle_is_what_the_sources_give(npm: str, tmp_path: Path) -> None:
    built = run(npm, "run", "--silent", "build", "--workspace=dashboard", "--", "--out", str(tmp_path))
    assert built.returncode == 0, built.stderr
    for name in ("app.js", "app.css"):
        assert (STATIC / name).read_bytes() == (tmp_path / name).read_bytes(), (
            f"{name}: run `npm run build` in frontend/"
        )


def test_tests_of_the_workspace_pass(npm: str) -> None:
    """Its other scripts are `make lint` and `make types`."""
    done = run(npm, "run", "--silent", "test")
    assert done.returncode == 0, done.stdout + done.stderr


def compressed(*paths: Path) -> int:
    """Return how many bytes these files take on their way to the browser."""
    return sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in paths)


def test_bundle_is_small() -> None:
    """Our own modules take at most 10 KiB gzipped; idiomorph comes with them."""
    assert compressed(STATIC / "app.js") <= BUNDLE_BYTES


def test_scripts_and_style_stay_within_their_budget() -> None:
    """dashboard-57: all JavaScript with htmx, its `ws` extension and idiomorph; the stylesheet."""
    htmx = Path(django_htmx.__file__).parent / "static/django_htmx"
    named = re.findall(r'src="[^"]*?/django_htmx/([^"]+)"', htmx_script(extensions="hx-ws"))
    assert len(named) == 2
    assert compressed(STATIC / "app.js", *(htmx / name for name in named)) < SCRIPT_BYTES
    assert compressed(STATIC / "app.css") < STYLE_BYTES


def test_style_knows_no_left_and_right() -> None:
    """dashboard-46: logical properties only, so that a page that runs from right to left is mirrored by itself."""
    sided = re.compile(
        r"(?:^|[\s;{-])(?:left|right|float)\s*:|(?:margin|padding|border)-(?:left|right)|:\s*(?:left|right)\b"
    )
    lines = {path.name: path.read_text().splitlines() for path in FRONTEND.glob("dashboard/src/*.css")}
    assert lines
    assert [f"{name}: {line}" for name, text in lines.items() for line in text if sided.search(line)] == []


def test_lock_file_names_no_registry() -> None:
    packages = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in packages.items() if "//" in package.get("resolved", "")]


def test_licences_of_what_the_bundle_contains_are_there(npm: str) -> None:
    text = (STATIC / "LICENSES.txt").read_text()
    workspace = json.loads((FRONTEND / "dashboard/package.json").read_text())
    for name, version in workspace["dependencies"].items():
        assert f"{name} {version}" in text
        assert (FRONTEND / "node_modules" / name / "LICENSE").read_text().strip() in text


def test_modules_are_short() -> None:
    """One module a concern, none above 200 lines."""
    sources = [*FRONTEND.glob("dashboard/src/*.js"), *FRONTEND.glob("dashboard/src/*.css")]
    assert sources
    assert {path.name: lines for path in sources if (lines := len(path.read_text().splitlines())) > MODULE_LINES} == {}
