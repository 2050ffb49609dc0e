"""The catalogues of translations: complete, free of mistakes, and compiled."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import polib
import pytest
from django.utils.translation.template import templatize

from tests.catalogues import PACKAGE, PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.once

CATALOGUES = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/django.po"))
SINGULAR = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLURAL = {"ngettext", "ngettext_lazy"}
WITH_CONTEXT = {"pgettext", "pgettext_lazy"}
PLURAL_FORMS = {"de": "nplurals=2; plural=(n != 1);"}
Text = tuple[str | None, str, str | None]
"""Context, text, plural."""

catalogues = pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parent.parent.name)


def entries(path: Path) -> dict[Text, polib.POEntry]:
    return {(entry.msgctxt, entry.msgid, entry.msgid_plural or None): entry for entry in polib.pofile(str(path))}


def translations(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def texts_of_python(source: str) -> Iterator[Text]:
    """Give what a module marks for translation."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        given = [value.value for value in node.args if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        if node.func.id in SINGULAR and len(given) == 1:
            yield None, given[0], None
        elif node.func.id in PLURAL:
            yield None, given[0], given[1]
        elif node.func.id in WITH_CONTEXT:
            yield given[0], given[1], None


def texts_of_template(source: str) -> Iterator[Text]:
    """Give what a template marks; Django makes calls of its tags, among marks for all that is no text."""
    calls = re.findall(r"\b(n?gettext|n?pgettext)\((.*?)\)(?=\s|$)", templatize(source), re.DOTALL)
    for name, arguments in calls:
        yield from texts_of_python(f"{name}({arguments})")


def marked() -> set[Text]:
    """Return all that the package marks for translation."""
    found: set[Text] = set()
    for path in PACKAGE.rglob("*.py"):
        found.update(texts_of_python(path.read_text()))
    for path in (PACKAGE / "templates").rglob("*.*"):
        found.update(texts_of_template(path.read_text()))
    return found


def test_there_is_a_german_catalogue() -> None:
    """D-29"""
    assert "de" in {path.parent.parent.name for path in CATALOGUES}


@catalogues
def test_a_catalogue_holds_every_text_of_the_package_and_no_other(path: Path) -> None:
    """D-29, dashboard-46: after a change of texts, run `make messages` and translate."""
    assert set(entries(path)) == marked()


@catalogues
def test_every_text_is_translated(path: Path) -> None:
    """D-29, dashboard-46: nothing is missing, and nothing is a guess of the tool's."""
    assert [entry.msgid for entry in entries(path).values() if not entry.translated() or entry.fuzzy] == []


@catalogues
def test_translations_have_the_placeholders_of_their_text(path: Path) -> None:
    """D-29"""
    wrong = [
        (entry.msgid, text)
        for entry in entries(path).values()
        for text in translations(entry)
        if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
    ]
    assert wrong == []


@catalogues
def test_spaces_and_full_stops_at_the_ends_are_those_of_the_text(path: Path) -> None:
    """D-29: pieces stand beside each other as in English."""

    def ends(text: str) -> tuple[bool, bool, bool, bool]:
        return text[:1].isspace(), text[-1:].isspace(), text.endswith("."), text.endswith(":")

    wrong = [
        (entry.msgid, text)
        for entry in entries(path).values()
        for text in translations(entry)
        # Abbreviations, such as those of hours and percentage points, end in a full stop of their own.
        if ends(text) != ends(entry.msgid) and not re.search(r"\b(Std|Min|T|Pkt)\.$", text)
    ]
    assert wrong == []


@catalogues
def test_plural_forms_are_those_of_the_language(path: Path) -> None:
    """D-29, dashboard-46"""
    catalogue = polib.pofile(str(path))
    assert catalogue.metadata["Plural-Forms"] == PLURAL_FORMS[path.parent.parent.name]
    assert {tuple(entry.msgstr_plural) for entry in catalogue if entry.msgid_plural} == {(0, 1)}


@catalogues
def test_the_compiled_catalogue_is_made_of_this_one(path: Path) -> None:
    """D-29: the compiled one is what is shipped and read."""
    compiled = {
        (entry.msgctxt, entry.msgid): entry.msgstr_plural or entry.msgstr
        for entry in polib.mofile(str(path.with_suffix(".mo")))
    }
    wanted = {
        (context, text): entry.msgstr_plural or entry.msgstr for (context, text, _), entry in entries(path).items()
    }
    assert compiled == wanted
