"""The threat model names a test in every row, and each of them is there."""

from __future__ import annotations

import pytest

from tests.named import ROOT, is_there

pytestmark = pytest.mark.once
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


def test_every_row_names_a_test_that_is_there() -> None:
    """S-01: path and name, as pytest takes them"""
    assert len(rows()) > 50
    for row in rows():
        assert len(row) == 3, row
        assert is_there(row[2]), row


@pytest.mark.parametrize("threat", THREATS)
def test_every_threat_that_was_asked_about_has_a_row(threat: str) -> None:
    """S-01"""
    assert any(threat in row[0].lower() for row in rows())
