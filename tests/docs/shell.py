"""Commands in the pages: the text of a block as a shell reads it, and the single commands in it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from tests.docs.pages import Block, all_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACEHOLDER = re.compile(r"<[a-z][a-z -]*>")
"""What a reader replaces: `<uid>`."""
SCHEDULE = re.compile(r"^(?:\S+ +){5}", re.MULTILINE)
ASSIGNMENT = re.compile(r"[A-Z_]+=")
PUNCTUATION = set("();<>|&")
REDIRECTION = set("<>")


def readable(block: Block) -> str:
    """Return a block as a shell can read it: with something in place of placeholders, without prompts and output."""
    code = PLACEHOLDER.sub("given", block.code)
    if block.language == "console":
        return "".join(f"{line[2:]}\n" for line in code.splitlines() if line.startswith("$ "))
    return SCHEDULE.sub("", code) if block.language == "crontab" else code


def commands(block: Block) -> Iterator[list[str]]:
    """Give each simple command of a block as its words, without assignments before it and without redirections."""
    lexer = shlex.shlex(readable(block).replace("\\\n", " ").replace("\n", "\n;\n"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= REDIRECTION:
            next(lexer)  # the file
        elif set(word) <= PUNCTUATION:
            yield from filter(None, [words])
            words = []
        elif words or not ASSIGNMENT.match(word):
            words.append(word)
    yield from filter(None, [words])


def all_commands() -> list[tuple[Block, list[str]]]:
    """Return each command of all pages with the block that has it."""
    return [(block, words) for block in all_blocks("sh", "console", "crontab") for words in commands(block)]
