"""The page of cases says what the tests say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.once
def test_page_of_cases_is_made_from_the_tests_as_they_are() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "cases.py"))["page"]()
    assert (ROOT / "docs" / "cases.md").read_text() == made, "Out of date: run .venv/bin/python docs/cases.py"
