"""The documentation as a site, by Sphinx: `make docs` builds it into `build/docs`.

The pages are plain Markdown and read as well in the repository. What a site needs beyond that is added while it is built:

- the navigation, from the lists of `index.md`;
- what stands in comments of the form `<!-- site ... -->`, as reStructuredText: the reference from docstrings;
- not what stands between `<!-- repository -->` and `<!-- end -->`: it is in those docstrings, which the repository does not show;
- a file from elsewhere in place of a page that has `<!-- page: FILE -->`;
- the repository's address, for links that lead out of this folder.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
os.environ["DEMO_DIR"] = str(ROOT / "build" / "docs-project")

import django  # noqa: E402 - it reads what has been set above
from django.core.management.base import CommandParser  # noqa: E402
from pygments.lexers.special import TextLexer  # noqa: E402
from pygments.lexers.sql import PostgresLexer  # noqa: E402
from pygments.lexers.templates import HtmlDjangoLexer  # noqa: E402

from livereferrals import __version__  # noqa: E402
from livereferrals.management.commands.livereferrals import sub_commands  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

django.setup()

REPOSITORY = "https://github.com/livereferrals/livereferrals/blob/main/"
LEXERS = {"caddyfile": TextLexer, "crontab": TextLexer, "html": HtmlDjangoLexer, "sql": PostgresLexer}
"""What Pygments does not know, or knows by a narrower grammar than the pages use."""
CASES = re.compile(
    r" \((?:[A-Z]|feed|callback|dashboard)-[A-Z]?\d+(?:, (?:[A-Z]|feed|callback|dashboard)-[A-Z]?\d+)*\)"
)
"""Ids of cases, for whoever maintains the code."""
SECTIONS = re.compile(r"^(Args|Raises|Returns|Yields|Attributes|Example|Examples|Note|Warning):$")

project = "livereferrals"
author = "The livereferrals contributors"
copyright = author  # noqa: A001 - Sphinx' name
version = release = __version__
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["images"]
highlight_language = "default"
default_role = "code"
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "fully-qualified"
python_maximum_signature_line_length = 90
napoleon_numpy_docstring = False
html_theme = "furo"
html_title = f"livereferrals {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is added to the pages."""
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", read_docstring, priority=400)  # before napoleon
    for language, lexer in LEXERS.items():
        app.add_lexer(language, lexer)


def read(_app: Sphinx, name: str, source: list[str]) -> None:
    """Make of a page what the site needs."""
    file = DOCS / f"{name}.md"
    text = source[0]
    if found := re.search(r"<!-- page: (\S+) -->", text):
        file = (file.parent / found[1]).resolve()
        text = file.read_text()
    text = re.sub(r"<!-- repository -->.*?<!-- end -->\n", "", text, flags=re.DOTALL)
    text = re.sub(r"<!-- site\n(.*?)-->", site_only, text, flags=re.DOTALL)
    text = re.sub(
        r"\]\(([^)#:]+)(#[^)]*)?\)", lambda link: f"]({target(link[1], file=file, page=name)}{link[2] or ''})", text
    )
    source[0] = text if name != root_doc else f"{text}\n{''.join(navigation(text))}"


def site_only(comment: re.Match[str]) -> str:
    """Return what a comment stands for."""
    if comment[1].strip() == "commands":
        return "".join(commands())
    return f"```{{eval-rst}}\n{comment[1]}```"


def target(link: str, *, file: Path, page: str) -> str:
    """Return a link's target as seen from the page: pages as they are, whatever is elsewhere in the repository."""
    there = (file.parent / link).resolve()
    if not there.is_relative_to(DOCS):
        return REPOSITORY + there.relative_to(ROOT).as_posix()
    return os.path.relpath(there, (DOCS / page).parent)


def navigation(index: str) -> Iterator[str]:
    """Give a hidden table of contents for each heading with a list of pages."""
    for section in index.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        pages = re.findall(r"^- \[(.+?)\]\(([\w/-]+)\.md\)", section, re.MULTILINE)
        entries = "\n".join(f"{title} <{page}>" for title, page in pages)
        yield f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{entries}\n```\n"


def commands() -> Iterator[str]:
    """Give each sub-command with what its `--help` says."""
    for name, module in sorted(sub_commands().items()):
        parser = CommandParser(prog=f"manage.py livereferrals {name}", description=module.HELP)
        module.add_arguments(parser)
        yield f"\n## {name}\n\n```text\n{parser.format_help()}```\n"


def read_docstring(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Make indented blocks of docstrings literal: they are code, and plain text to whoever reads them in an editor."""
    made: list[str] = []
    literal = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not literal and (not made or not made[-1]) and not SECTIONS.match(paragraph_before(made)):
            made += ["::", ""]
            literal = True
        elif line and not indented:
            literal = False
        made.append(line if literal else CASES.sub("", line))
    lines[:] = made


def paragraph_before(lines: list[str]) -> str:
    """Return the last line that is neither empty nor indented."""
    return next((line for line in reversed(lines) if line and not line.startswith(" ")), "")
