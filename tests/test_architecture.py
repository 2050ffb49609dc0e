"""How the code is laid out: who imports whom, twins, what is importable when, and what no tracked file may hold."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import livereferrals
from livereferrals import api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 300


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own commands
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=240, check=False
    )


def modules() -> Iterator[Any]:
    for found in pkgutil.walk_packages(livereferrals.__path__, "livereferrals."):
        if ".migrations" not in found.name:
            yield importlib.import_module(found.name)


def tracked_files() -> list[Path]:
    listed = run("git", "ls-files", "-z").stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def test_imports_go_one_way() -> None:
    """S-01 The contracts of import-linter hold."""
    done = run(str(Path(sys.executable).with_name("lint-imports")))
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_feature_imports_what_gathers_them() -> None:
    """S-01 `livereferrals.models` and `apps` are for Django; features import each other's modules."""
    gathers = re.compile(
        r"^\s*(from livereferrals import .*\b(models|apps)\b|(from|import) livereferrals\.(models|apps)\b)", re.M
    )
    guilty = [path for path in (ROOT / "livereferrals").rglob("*.py") if gathers.search(path.read_text())]
    assert guilty == []


def test_no_module_is_longer_than_one_concern() -> None:
    """S-01 At most 300 lines, except what Django generates."""
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "livereferrals").rglob("*.py")}
    assert {str(path): n for path, n in lengths.items() if n > MAX_LINES and "migrations" not in path.parts} == {}


@pytest.mark.parametrize(
    "name", ["livereferrals", "livereferrals.triggers", "livereferrals.asgi", "livereferrals.signals"]
)
def test_what_hosts_import_early_needs_neither_settings_nor_apps(name: str) -> None:
    """S-01 The settings file imports `Trigger`, and `asgi.py` its application, before Django is set up."""
    code = f"import {name}; from django.apps import apps; from django.conf import settings; assert not apps.ready; assert not settings.configured"
    done = run(sys.executable, "-W", "error", "-c", code, DJANGO_SETTINGS_MODULE="")
    assert done.returncode == 0, done.stderr


def test_trigger_is_importable_without_settings_and_its_module_lists_the_receivers() -> None:
    """S-01 `Trigger(...)` can be written in a settings file that is only half read."""
    code = (
        "from livereferrals.triggers import Trigger; import livereferrals.triggers as t;"
        "Trigger('x', signal='a.b', receiver='c.d', sender='e.F');"
        "assert {'object_created', 'object_saved', 'signal_sent', 'complete_trigger'} <= set(t.__all__)"
    )
    done = run(sys.executable, "-c", code, DJANGO_SETTINGS_MODULE="")
    assert done.returncode == 0, done.stderr


def twins() -> Iterator[tuple[str, Callable[..., Any], Callable[..., Any]]]:
    """Each `name` and `aname` that stand side by side in a module or class of ours."""
    for module in modules():
        owners = [module, *(value for value in vars(module).values() if inspect.isclass(value))]
        for owner in owners:
            if getattr(owner, "__module__", module.__name__) != module.__name__:
                continue
            for name, function in vars(owner).items():
                twin = vars(owner).get(f"a{name}")
                if inspect.isfunction(function) and inspect.iscoroutinefunction(twin):
                    yield f"{module.__name__}:{name}", function, twin


def test_async_twins_have_the_signature_of_their_sync_form() -> None:
    """S-40 Whoever knows one form knows the other."""
    found = list(twins())
    assert {
        f"livereferrals.api:{name[1:]}" for name in api.__all__ if name.startswith("a") and name[1:] in api.__all__
    } <= {place for place, _, _ in found}
    for place, function, twin in found:
        assert inspect.signature(function) == inspect.signature(twin), place


def test_public_functions_have_twins() -> None:
    """S-40 Every function of the public API can be called from async code."""
    functions = {name for name in api.__all__ if inspect.isfunction(getattr(api, name))}
    assert {"record_hit", "confirm", "attribute"} <= functions
    for name in functions:
        assert f"a{name}" in functions or name[1:] in functions, name


def test_public_names_exist() -> None:
    """S-40 What `__all__` lists can be imported, in every module."""
    for module in modules():
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{module.__name__}.{name}"


def machine_places() -> list[re.Pattern[bytes]]:
    """Return what would give this machine away: checkout and home as paths, and the private package indexes it uses."""
    names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX_URL", "npm_config_registry")
    told = run(sys.executable, "-m", "pip", "config", "list").stdout + " ".join(
        os.environ.get(name, "") for name in names
    )
    hosts = {urlsplit(url).hostname or "" for url in re.findall(r"https?://[^\s'\"]+", told)}
    hosts -= {"", "pypi.org", "registry.npmjs.org", "localhost", "127.0.0.1"}
    # A checkout in /src or /app is nobody's secret.
    paths = [path for path in (ROOT, Path.home()) if len(path.parts) > 2]
    patterns = [rf"(?<![\w./-]){re.escape(str(path))}(?![\w-])" for path in paths]
    return [re.compile(pattern.encode()) for pattern in [*patterns, *map(re.escape, sorted(hosts))]]


def test_no_tracked_file_names_a_place_of_this_machine() -> None:
    """S-01 Neither a path of the checkout or of a home, nor the host of a private package index."""
    places = machine_places()
    for path in tracked_files():
        content = path.read_bytes()
        for place in places:
            assert not place.search(content), f"{path}: {place.pattern!r}"


def test_locked_packages_come_from_the_public_registry() -> None:
    """S-01 A lock file made behind a mirror would bind everybody to it."""
    for path in tracked_files():
        if path.name == "package-lock.json":
            packages = json.loads(path.read_text())["packages"].values()
            hosts = {
                urlsplit(package["resolved"]).hostname
                for package in packages
                if "resolved" in package and not package.get("link")
            }
            assert hosts <= {"registry.npmjs.org"}
