"""What is written for readers holds: README, guides, settings reference, changelog."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from livereferrals import __version__, conf
from livereferrals.feed_limits import FeedLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
GUIDES = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *GUIDES]
NOT_DICT_KEYS = {"TRIGGERS"}
"""Documented, but read by a reader of its own."""

pytestmark = pytest.mark.once
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    """Return the page's code blocks of a language, indented ones too."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def table(heading: str) -> dict[str, str]:
    """Return key and default of each row below a heading of the settings reference."""
    section = (ROOT / "docs/settings.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \|", section, re.MULTILINE))


def value(text: str) -> Any:
    """Return the Python value that a reader would write: a literal, or `timedelta(...)`."""
    if span := re.fullmatch(r"timedelta\((\w+)=(\d+)\)", text):
        return timedelta(**{span[1]: int(span[2])})
    return ast.literal_eval(text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh `startproject`."""
    command = [sys.executable, "-m", "django", "startproject", "mysite", str(tmp_path)]
    subprocess.run(command, check=True)  # noqa: S603 - our own command
    return tmp_path


def manage(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the project's `manage.py` and give its result."""
    environment = {"PATH": "", "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "mysite.settings"}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "manage.py", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def append(path: Path, code: str) -> None:
    path.write_text(f"{path.read_text()}\n{code}")


def test_five_edits_of_the_readme_make_a_fresh_project_work(project: Path) -> None:
    """O-08"""
    settings, urls, asgi = blocks(README, "python")[:3]
    append(project / "mysite/settings.py", settings)
    append(project / "mysite/urls.py", urls)
    append(project / "mysite/asgi.py", asgi)
    checked = manage(project, "check", "--fail-level", "ERROR")
    assert checked.returncode == 0, checked.stderr
    assert manage(project, "migrate", "--verbosity", "0").returncode == 0
    started = manage(project, "shell", "-c", "import mysite.asgi; print(type(mysite.asgi.application).__module__)")
    assert started.stdout.split()[-1] == "livereferrals.asgi", started.stderr


def test_getting_started_makes_the_same_edits_as_the_readme() -> None:
    """O-08"""
    edits = "".join(blocks(README, "python")[:3])
    steps = "".join(blocks(ROOT / "docs/getting-started.md", "python")[:5])
    assert sorted(lines_of_code(edits)) == sorted(lines_of_code(steps))


def lines_of_code(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_readme_and_tutorial_number_their_five_edits() -> None:
    for page in (README, ROOT / "docs/tutorial.md"):
        numbers = re.findall(r"^# (\d)\. ", "".join(blocks(page, "python")), re.MULTILINE)
        assert numbers == ["1", "2", "3", "4", "5"], page


def test_sqlite_options_of_the_guide_satisfy_the_check(project: Path) -> None:
    """O-08"""
    settings, urls, asgi = blocks(README, "python")[:3]
    sqlite = next(block for block in blocks(ROOT / "docs/getting-started.md", "python") if "IMMEDIATE" in block)
    append(project / "mysite/settings.py", f"{settings}\n{sqlite}")
    append(project / "mysite/urls.py", urls)
    append(project / "mysite/asgi.py", asgi)
    checked = manage(project, "check", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr


@pages
def test_python_examples_parse(page: Path) -> None:
    for code in blocks(page, "python"):
        compile(code, str(page), "exec", ast.PyCF_ONLY_AST)


@pages
def test_json_examples_parse(page: Path) -> None:
    for code in blocks(page, "json"):
        json.loads(code)


@pages
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def links(page: Path) -> Iterator[str]:
    """Give each link of a page that leads to another of ours."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]+`", "", text)
    for target in re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text):
        if "://" not in target:
            yield target


def anchors(page: Path) -> set[str]:
    """Return the names under which a page's headings can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_stands_once_in_the_navigation() -> None:
    index = ROOT / "docs/index.md"
    listed = re.findall(r"^- \[.+?\]\((\S+\.md)\)", index.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(str(guide.relative_to(index.parent)) for guide in GUIDES if guide != index)


def test_settings_reference_has_every_key_with_its_default() -> None:
    """O-08"""
    headings = ("Triggers", "Links and parameters", "Visitors", "Attribution", "Feed", "Dashboard")
    documented = {key: text for heading in headings for key, text in table(heading).items()}
    declared = conf.Settings.declared()
    assert set(documented) == set(declared) | NOT_DICT_KEYS
    for key, setting in declared.items():
        assert default(setting, documented[key]) == setting.default, key


def test_callback_settings_reference_has_every_key_with_its_default() -> None:
    """O-08"""
    documented = table("Callbacks")
    declared = conf.CallbackSettings.declared()
    assert set(documented) == set(declared)
    for key, setting in declared.items():
        assert default(setting, documented[key]) == setting.default, key


def default(setting: Any, text: str) -> Any:
    """Return what a documented default means: the value itself, or what it is parsed to."""
    written = value(text)
    return setting.default if written == setting.default else setting.parse(written)


def test_feed_numbers_reference_has_every_number() -> None:
    """O-08"""
    assert {key: value(text) for key, text in table("Numbers of the feed").items()} == asdict(FeedLimits())


def test_changelog_has_a_heading_for_the_version() -> None:
    headings = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert __version__ in headings


def test_python_version_is_the_same_everywhere() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert f"Python {oldest} or newer" in README.read_text()
    assert f"FROM python:{oldest}-slim" in (ROOT / "Dockerfile").read_text()
    assert f"Python {oldest} or newer" in (ROOT / "Makefile").read_text()


def test_readme_reaches_its_first_command_on_one_screen() -> None:
    lines = README.read_text().splitlines()
    assert lines.index("make demo") < 25
