"""What an examination found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARNING = 1
    """It works, but not as somebody may expect."""
    ERROR = 2
    """Something is not recorded, not shown or not delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor."""

    level: Level
    about: str
    """What was looked at, in a word or two."""
    text: str
    advice: str = ""
    """What to do."""


def counted(number: int | str, one: str, many: str) -> str:
    """Return the number with the word for one or for many."""
    return f"{number} {one if number == 1 else many}"


def ok(about: str, text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(level=Level.OK, about=about, text=text)


def warning(about: str, text: str, *, advice: str) -> Finding:
    """Return that something is not as it may be meant."""
    return Finding(level=Level.WARNING, about=about, text=text, advice=advice)


def error(about: str, text: str, *, advice: str) -> Finding:
    """Return that something does not work."""
    return Finding(level=Level.ERROR, about=about, text=text, advice=advice)
