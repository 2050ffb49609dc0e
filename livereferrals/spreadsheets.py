"""Tables for spreadsheets: CSV lines whose cells are harmless, given while they are read."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from asgiref.sync import sync_to_async
from django.utils import timezone

from livereferrals import times

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

BOM: Final = "\N{BOM}"
"""Without it Excel reads UTF-8 as the local code page."""
FORMULA: Final = re.compile(
    "^(?=[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-])|(?<=[;\t\r\n|])(?=[=+@\uff1d\uff0b\uff0d\uff20-])"
)
"""Where a spreadsheet takes what follows for a formula (OWASP, 'CSV Injection'): at the start of a cell, also behind what
other countries' Excel takes for the end of one; the wide forms are Japan's."""


def cell(value: object) -> str:
    """Return the value as a harmless cell: times in ISO 8601, nothing that a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return timezone.localtime(times.as_aware(value), timezone.get_default_timezone()).isoformat(timespec="seconds")
    return FORMULA.sub("'", str(value))


def line(values: Iterable[object]) -> str:
    """Return one line of CSV, with its line break."""
    written: str = csv.writer(_Line()).writerow([cell(value) for value in values])
    return written


class _Line:
    """What the CSV writer writes to: it gives each line back."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


async def on_the_loop(lines: Iterator[str]) -> AsyncIterator[str]:
    """Give the lines to a server that speaks ASGI, which would collect a plain iterator to its end before it sends."""

    def step() -> str | None:
        return next(lines, None)

    while (found := await sync_to_async(step)()) is not None:
        yield found
