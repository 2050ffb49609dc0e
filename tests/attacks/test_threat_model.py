"""The threat model names a test in every row, and each of them is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "security.md"
THREATS = (
    "forged hits", "cookie stuffing", "forged confirmations", "open redirects", "ssrf", "header injection", "log injection",
    "cross-site websocket hijacking", "token theft", "enumeration of identifiers", "csv injection", "stored xss",
    "sql through filters", "denial by size", "denial by count", "denial by slowness", "redos",
)  # fmt: skip


def rows() -> list[list[str]]:
    """Return threat, defence and test of each row."""
    table = PAGE.read_text().split("\n## Threats\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| **")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def names_in(path: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_row_names_a_test_that_is_there() -> None:
    """S-01: path and name, as pytest takes them"""
    assert len(rows()) > 50
    for row in rows():
        assert len(row) == 3, row
        named = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[2])
        assert named is not None, row
        path = ROOT / named[1]
        assert path.is_file(), named[1]
        assert named[2] in names_in(path), row[2]


@pytest.mark.parametrize("threat", THREATS)
def test_every_threat_that_was_asked_about_has_a_row(threat: str) -> None:
    """S-01"""
    assert any(threat in row[0].lower() for row in rows())
