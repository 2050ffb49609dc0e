"""The health file: a worker that lives writes it anew every second, so that its age tells whether the worker does."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Final

from django.utils import timezone

if TYPE_CHECKING:
    from pathlib import Path

EVERY_S: Final = 0.5


class Pulse:
    """Writes the file after rounds that went well; a worker without a database, or that hangs, lets it grow old."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._next = 0.0

    def beat(self, **facts: object) -> None:
        """Write the file, at most twice a second.

        Raises:
            OSError: the file cannot be written.
        """
        now = time.monotonic()
        if self._path is None or now < self._next:
            return
        self._next = now + EVERY_S
        told = {"at": timezone.now().isoformat(), "pid": os.getpid(), **facts}
        # Whoever reads it sees the old or the new one, never half of one.
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(told) + "\n")
        fresh.replace(self._path)

    def stop(self) -> None:
        """Take the file away."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
