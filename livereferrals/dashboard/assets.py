"""Which release of its files a page in a browser was made of, so that one that stays open notices a newer one."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.templatetags.static import static

from livereferrals.dashboard.pages import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).resolve().parent.parent
FILES: Final = ("livereferrals/app.js", "livereferrals/app.css")


def version() -> str:
    """Return a short name of the script, the stylesheet and the templates; reads them once in a process.

    Their addresses count too: with a manifest they change with what the host has put in the files' place.
    """
    return _version(tuple(static(name) for name in FILES))


@cache
def _version(addresses: tuple[str, ...]) -> str:
    found = hashlib.sha256("\n".join(addresses).encode())
    for path in _files():
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def _files() -> Iterator[Path]:
    yield from (PACKAGE / "static" / name for name in FILES)
    yield from sorted((PACKAGE / "templates" / FOLDER).glob("*.html"))
