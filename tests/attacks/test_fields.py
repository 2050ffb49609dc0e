"""The privacy page says of every column what it is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps

pytestmark = pytest.mark.once
PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "privacy.md"


def documented() -> dict[str, set[str]]:
    """Return the columns of each table on the page; each row has to give a reason."""
    section = PAGE.read_text().split("\n## Every field\n")[1].split("\n## ")[0]
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^\| `.*\|$", section, re.MULTILINE):
        tables, columns, why, _how_long = (cell.strip() for cell in line.strip("|").split("|"))
        assert why, line
        for table in re.findall(r"`(\w+)`", tables):
            found.setdefault(table, set()).update(re.findall(r"`(\w+)`", columns))
    return found


def test_every_column_is_on_the_privacy_page() -> None:
    """Y-07: a new one is told of, with its reason, before it is stored"""
    found = documented()
    models = {model.__name__: model for model in apps.get_app_config("livereferrals").get_models()}
    assert set(found) == set(models)
    for name, model in models.items():
        missing = {field.name for field in model._meta.concrete_fields} - found[name]
        assert not missing, (name, missing)


def test_no_column_is_told_of_that_is_none() -> None:
    """Y-07"""
    known = {
        field.name
        for model in apps.get_app_config("livereferrals").get_models()
        for field in model._meta.concrete_fields
    }
    for name, columns in documented().items():
        assert columns <= known, (name, columns - known)
