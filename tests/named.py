"""Tests that a page of the documentation names, as pytest takes them: `tests/path.py::test_name`."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def is_there(named: str) -> bool:
    """Whether there is such a test; `named`: in backticks, as on the page."""
    found = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", named)
    return found is not None and (ROOT / found[1]).is_file() and found[2] in _tests_in(ROOT / found[1])


@cache
def _tests_in(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
