"""Reading the catalogues of translations, and finding what a page still says in English."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import polib

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parent.parent / "livereferrals"
GERMAN = PACKAGE / "locale/de/LC_MESSAGES/django.po"
PLACEHOLDER = re.compile(r"%\(\w+\)s|%%|\{\w+\}")
ENGLISH_WORDS = re.compile(
    r"(?<![\w/.-])(the|of|and|is|are|not|with|yet|this|that|by|to|from|has|have|for|no|it|be|been|or|all|any)(?![\w/.-])",
    re.IGNORECASE,
)
"""Words that no German sentence has; a sentence that was never marked for translation has one of them."""
READ = frozenset({"alt", "aria-label", "data-label", "placeholder", "title"})
VERBATIM = frozenset({"code", "pre", "script", "style"})
"""What stands there is data, not words of ours."""


class _Visible(HTMLParser):
    """Collects what a page says: its texts, and the attributes that are read out or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        shown = {name for name in values if name in READ or name.startswith("data-text")}
        if tag == "input" and values.get("type") in {"submit", "button"}:
            shown.add("value")
        self.texts.extend(values[name] or "" for name in shown)
        self._verbatim += tag in VERBATIM

    def handle_endtag(self, tag: str) -> None:
        self._verbatim -= tag in VERBATIM

    def handle_data(self, data: str) -> None:
        if not self._verbatim:
            self.texts.append(data)


def visible(markup: str) -> list[str]:
    """Return what a page says, each text with its white space collapsed."""
    parser = _Visible()
    parser.feed(markup)
    return [text for text in (" ".join(each.split()) for each in parser.texts) if text]


@cache
def patterns() -> tuple[re.Pattern[str], ...]:
    """Return what each English text that is another one in German looks like on a page."""
    return tuple(
        re.compile(".+?".join(map(re.escape, PLACEHOLDER.split(" ".join(text.split())))), re.DOTALL)
        for text in _translated()
        if re.search(r"[A-Za-z]", PLACEHOLDER.sub("", text))
    )


def _translated() -> Iterator[str]:
    for entry in polib.pofile(str(GERMAN)):
        if not entry.msgid_plural and entry.msgstr != entry.msgid:
            yield entry.msgid
        for number, text in enumerate((entry.msgid, entry.msgid_plural) if entry.msgid_plural else ()):
            if entry.msgstr_plural[number] != text:
                yield text


@cache
def _german() -> frozenset[str]:
    return frozenset(entry.msgstr for entry in polib.pofile(str(GERMAN)))


def english_in(markup: str, *, names: frozenset[str] = frozenset()) -> list[str]:
    """Return the texts of a page that are English; `names` are those of things, in whatever language they were given."""
    german = names | _german()
    return [
        text
        for text in visible(markup)
        if text not in german and (any(each.fullmatch(text) for each in patterns()) or ENGLISH_WORDS.search(text))
    ]
