"""What is built: the wheel holds the app and nothing else, the sdist what is needed to build it again."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.packaging.building import ROOT, build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

TARGET = re.compile(r'(?:\]\(|src="|srcset=")([^)"]+)')
"""Where a link leads, and where a picture lies."""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"), "--sdist", "--wheel")


@pytest.fixture(scope="module")
def wheel(dist: Path) -> set[str]:
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def sdist(dist: Path) -> set[str]:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def tracked(folder: str) -> set[str]:
    listed = subprocess.run(  # noqa: S603 - our own command
        ["git", "ls-files", "-z", folder],  # noqa: S607 - wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


def test_the_wheel_holds_every_file_of_the_app(wheel: set[str]) -> None:
    """O-08 Code, templates, static files, migrations and the mark of typed packages."""
    assert tracked("livereferrals") <= wheel
    for needed in (
        "livereferrals/py.typed",
        "livereferrals/migrations/0001_initial.py",
        "livereferrals/templates/livereferrals/dashboard/overview.html",
        "livereferrals/static/livereferrals/app.js",
        "livereferrals/static/livereferrals/app.css",
        "livereferrals/static/livereferrals/LICENSES.txt",
    ):
        assert needed in wheel


def test_the_wheel_holds_nothing_but_the_app(wheel: set[str]) -> None:
    """O-08 No tests, no demo, no sources of the bundle in a host's site-packages."""
    assert {name.partition("/")[0].partition("-")[0] for name in wheel} == {"livereferrals"}
    assert not [name for name in wheel if name.endswith((".pyc", ".map")) or "node_modules" in name]


def test_the_wheel_carries_the_licences(wheel: set[str]) -> None:
    """O-08 Ours, and those of the browser files in the bundle."""
    licences = [name for name in wheel if ".dist-info/licenses/" in name]
    assert len(licences) == 2


def test_the_sdist_builds_a_wheel_with_the_same_files(dist: Path, wheel: set[str], tmp_path: Path) -> None:
    """O-08 Whoever packages from source gets what we ship, without Node."""
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    out = build(tmp_path / "again", "--wheel", source=source)
    (again,) = out.glob("*.whl")
    with zipfile.ZipFile(again) as archive:
        assert set(archive.namelist()) == wheel


def test_the_sdist_holds_sources_and_tests_but_no_installed_packages(sdist: set[str]) -> None:
    """O-08 Tests, demo and the bundle's sources are there; what npm fetched is not."""
    for needed in (
        "tests/conftest.py",
        "project/settings.py",
        "frontend/package-lock.json",
        "Makefile",
        "CHANGELOG.md",
    ):
        assert needed in sdist
    assert not [name for name in sdist if "node_modules" in name or name.endswith(".pyc")]


def test_what_the_package_index_shows_leads_to_files_of_the_repository(dist: Path) -> None:
    """O-08 The README, every link and picture of it with a host, at the paths that the README has."""
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        shown = archive.read(name).decode().partition("\n\n")[2]
    wanted = TARGET.findall((ROOT / "README.md").read_text())
    found = TARGET.findall(shown)
    assert len(wanted) == len(found) > 20
    for relative, absolute in zip(wanted, found, strict=True):
        assert absolute.startswith("https://")
        assert "://" in relative or absolute.endswith(f"/main/{relative}")


def test_the_version_is_that_of_the_package(dist: Path) -> None:
    """O-08 One place says the version."""
    said = subprocess.run(
        [sys.executable, "-c", "import livereferrals; print(livereferrals.__version__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert {path.name.split("-")[1].removesuffix(".tar.gz") for path in dist.iterdir()} == {said}
