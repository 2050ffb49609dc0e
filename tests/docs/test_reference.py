"""The reference names what is public, and nothing else."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec

import pytest
from django.template import engines

from livereferrals import exceptions
from livereferrals.management.commands.livereferrals import sub_commands
from tests.docs.pages import DOCS, ROOT

pytestmark = pytest.mark.once

MODULES = ("api", "triggers", "signals", "testing", "client")


def first_column(page: str) -> set[str]:
    """Return the names in the first column of a page's tables."""
    text = (DOCS / "reference" / f"{page}.md").read_text()
    return {
        name for cell in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
    }


@pytest.mark.parametrize("module", MODULES)
def test_page_of_a_module_lists_what_it_exports(module: str) -> None:
    assert first_column(module) == set(import_module(f"livereferrals.{module}").__all__)


def test_page_of_errors_lists_every_one_with_what_it_is_besides() -> None:
    table = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\|", (DOCS / "reference/errors.md").read_text(), re.MULTILINE)
    there = {name: error for name, error in vars(exceptions).items() if is_ours(error)}
    assert set(dict(table)) == set(there)
    for name, base in table:
        others = [parent.__name__ for parent in there[name].__bases__ if parent is not exceptions.LiveReferralsError]
        assert others == ([base] if base else []), name


def is_ours(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, exceptions.LiveReferralsError)


def test_page_of_commands_lists_every_one() -> None:
    assert first_column("commands") == set(sub_commands())


def test_page_of_checks_lists_every_id() -> None:
    """O-08"""
    sources = "\n".join(path.read_text() for path in (ROOT / "livereferrals").rglob("*.py"))
    ids = {f"livereferrals.{found}" for found in re.findall(r'"(?:livereferrals\.)?([EIW]\d{3})"', sources)}
    assert first_column("checks") == ids


def test_page_of_template_tags_lists_every_one() -> None:
    tags = import_module("livereferrals.templatetags.livereferrals").register.tags
    named = {tag.removeprefix("{% ").partition(" ")[0] for tag in first_column("template-tags")}
    assert named == set(tags)
    engines["django"].from_string("{% load livereferrals %}")


def test_page_of_models_names_what_is_there() -> None:
    models = import_module("livereferrals.models")
    for line in (DOCS / "reference/models.md").read_text().splitlines():
        if found := re.match(r"\| `(\w+)` \| .* \| (.+) \|$", line):
            model = getattr(models, found[1])
            for name in re.findall(r"`(?:objects\.)?(\w+)", found[2]):
                assert hasattr(model, name) or hasattr(model.objects, name), f"{found[1]}.{name}"


def test_page_of_wiring_names_what_can_be_imported() -> None:
    for name in first_column("wiring"):
        place, _, last = name.rpartition(".")
        assert hasattr(import_module(place), last) or find_spec(name) is not None, name
