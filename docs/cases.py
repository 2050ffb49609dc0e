"""Makes `docs/cases.md` from the tests: which behaviour holds, and where it is proved.

    .venv/bin/python docs/cases.py

A test's docstring begins with the ids of the cases that it proves. Its name is the sentence of behaviour; what follows the
ids says more. In JavaScript the ids are a comment above the test.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cases.md"
SECTIONS = {
    "L": "Links and the link URL",
    "P": "A parameter on any URL",
    "V": "Visitors, carriers, consent",
    "C": "Claims at login",
    "S": "Settings and triggers",
    "A": "Attribution",
    "N": "Confirmations and reversals",
    "D": "Admin",
    "I": "Importers",
    "O": "Operations",
    "Y": "Privacy",
    "X": "Faults of the older apps that must not come back",
    "feed": "Feed",
    "callback-F": "Callbacks: faults",
    "callback-S": "Callbacks: security",
    "dashboard": "Dashboard",
}
ID = r"(?:[LPVCSANDIOYX]-\d\d|feed-\d+|callback-[FS]\d+|dashboard-\d+)"
BEGINNING = re.compile(rf"({ID}(?:(?:,? | and ){ID})*)[:.,]?\s*(.*)", re.DOTALL)
SCRIPT_TEST = re.compile(rf"//\s*({ID}(?:, {ID})*)[^\n]*\n\s*test\(\s*[\"'`](.+?)[\"'`],", re.DOTALL)
HEAD = """# Cases

What livereferrals does, case by case, and the test that proves it. This page is made from the tests by
`python docs/cases.py`; a test fails while it is out of date.
"""


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """One test of one case."""

    path: str
    """The test's file, from the root of the repository."""
    name: str
    """The test's name."""
    sentence: str
    """What holds."""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is up to date.\n")


def page() -> str:
    """Return the page as it should be."""
    proofs: dict[str, set[Proof]] = defaultdict(set)
    for case, proof in (*python_proofs(), *script_proofs()):
        proofs[case].add(proof)
    return "\n".join([HEAD, *(section(prefix, title, proofs) for prefix, title in SECTIONS.items())])


def section(prefix: str, title: str, proofs: dict[str, set[Proof]]) -> str:
    """Return one section with a row for each test of each of its cases."""
    cases = sorted((case for case in proofs if re.fullmatch(rf"{prefix}-?\d+", case)), key=number)
    rows = [
        row(case if first else "", proof)
        for case in cases
        for first, proof in zip([True, *[False] * len(proofs[case])], sorted(proofs[case]), strict=False)
    ]
    return "\n".join([f"## {title}", "", "| case | what holds | test |", "|---|---|---|", *rows, ""])


def row(case: str, proof: Proof) -> str:
    """Return a line of the table."""
    text = proof.sentence.replace("|", "\\|").replace("<", "&lt;")
    return f"| {case} | {text} | [{proof.path.removeprefix('tests/')}](../{proof.path}) |"


def number(case: str) -> int:
    """Return the number at the end of a case's id."""
    return int(re.sub(r"\D", "", case))


# --- reading the tests ------------------------------------------------------------------------------------------------------


def python_proofs() -> Iterator[tuple[str, Proof]]:
    """Give each case with each Python test that begins with its id."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found = BEGINNING.match(ast.get_docstring(node) or "")
                if found is not None:
                    name = node.name.removeprefix("test_")
                    proof = Proof(path, node.name, sentence(name.replace("_", " "), found[2]))
                    yield from ((case, proof) for case in re.findall(ID, found[1]))


def script_proofs() -> Iterator[tuple[str, Proof]]:
    """Give each case with each JavaScript test below a comment that begins with its id."""
    for file in sorted(ROOT.glob("frontend/*/test/*.test.js")):
        for cases, name in SCRIPT_TEST.findall(file.read_text()):
            proof = Proof(file.relative_to(ROOT).as_posix(), name, sentence(name, ""))
            yield from ((case, proof) for case in re.findall(ID, cases))


def sentence(name: str, more: str) -> str:
    """Return a test's name as a sentence, with the first line of what its docstring adds."""
    added = more.strip().split("\n\n")[0].replace("\n", " ")
    added = re.sub(r" {2,}", " ", added).rstrip(".")
    return f"{name[0].upper()}{name[1:]}{': ' if added else ''}{added}."


if __name__ == "__main__":
    main()
