"""Cursors as a client sees them: `<epoch>.<seq>` (feed protocol, 4). Pure."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = re.compile(r"([a-z0-9]{4,16})\.(0|[1-9][0-9]{0,18})\Z", re.ASCII)
MAX_SEQ: Final = 2**63 - 1


def is_cursor(value: object) -> bool:
    """Whether this is the text of a cursor."""
    if not isinstance(value, str):
        return False
    found = PATTERN.match(value)
    return found is not None and int(found[2]) <= MAX_SEQ


def epoch(cursor: str) -> str:
    """Return the log that the cursor belongs to."""
    return cursor.partition(".")[0]


def seq(cursor: str) -> int:
    """Return the number of a cursor."""
    return int(cursor.partition(".")[2])


def is_later(cursor: str, than: str) -> bool:
    """Whether one cursor lies after another of the same epoch; across epochs nothing can be said, so: no."""
    return epoch(cursor) == epoch(than) and seq(cursor) > seq(than)
