"""The pages that are written for readers, and the code blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "frontend" / "feed-client" / "README.md",
]
FENCE = re.compile(r"^( *)```([\w-]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A code block."""

    page: Path
    line: int
    """Where its code begins."""
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> Iterator[Block]:
    """Give each code block of a page, indented ones as if they were not."""
    text = page.read_text()
    for found in FENCE.finditer(text):
        indent, language, code = found.groups()
        line = text.count("\n", 0, found.start()) + 2
        yield Block(page=page, line=line, language=language, code=re.sub(rf"^{indent}", "", code, flags=re.MULTILINE))


def all_blocks(*languages: str) -> list[Block]:
    """Return each code block of all pages in one of the languages; of all of them where none is named."""
    found = [block for page in PAGES for block in blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", page.read_text())
