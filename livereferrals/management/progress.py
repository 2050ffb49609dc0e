"""How far a long piece of work has come: a line that is drawn anew on a terminal, plain lines elsewhere (I-04)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import OutputWrapper

TERMINAL_S: Final = 0.2
"""How often the line is drawn on a terminal."""
LINE_S: Final = 5.0
"""How often there is a plain line."""
BAR: Final = 24
"""Characters of the bar."""


class Output:
    """Lines, and how far a stage of the work has come."""

    def __init__(self, stdout: OutputWrapper, *, quiet: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stdout = stdout
        self._quiet = quiet
        self._clock = clock
        self._is_terminal = stdout.isatty()
        self._drawn = False
        self._name, self._total, self._unit = "", 0, ""
        self._began = self._told = 0.0

    def line(self, text: str) -> None:
        """Print a line of the report."""
        self._wipe()
        self._stdout.write(text)

    def begin(self, name: str, *, total: int, unit: str = "rows") -> None:
        """Begin a stage of so many things."""
        self._name, self._total, self._unit = name, total, unit
        self._began = self._told = self._clock()

    def progress(self, done: int) -> None:
        """Say how many are done, if it is time to say so."""
        now = self._clock()
        every = TERMINAL_S if self._is_terminal else LINE_S
        if self._quiet or (now - self._told < every and done < self._total):
            return
        self._told = now
        text = told(self._name, done=done, total=self._total, unit=self._unit, elapsed_s=now - self._began)
        if self._is_terminal:
            self._wipe()
            self._stdout.write(f"{bar(done, self._total)} {text}", ending="")
            self._drawn = True
        else:
            self._stdout.write(text)
        self._stdout.flush()

    def end(self) -> None:
        """End a stage."""
        self._wipe()

    def _wipe(self) -> None:
        if self._drawn:
            self._stdout.write("\r\x1b[K", ending="")
            self._drawn = False


def told(name: str, *, done: int, total: int, elapsed_s: float, unit: str = "rows") -> str:
    """Return how far it is: how many are done, rate and time left."""
    total = max(total, done)
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    left = f", {_span((total - done) / rate)} left" if rate and done < total else ""
    speed = f", {rate:,.0f} a second" if rate else ""
    return f"{name}: {done:,} of {total:,} {unit}{speed}{left}"


def bar(done: int, total: int) -> str:
    """Return a bar that is as full as the work is done."""
    full = BAR if done >= total else BAR * done // total
    return f"[{'#' * full}{'.' * (BAR - full)}]"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
