"""Log lines for a command's output: one JSON object for each, unless the host project says where logs go."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; the rest are the facts that were given with it."""


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and the facts of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts = {name: value for name, value in vars(record).items() if name not in OWN}
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told | facts, default=str)


class _Lines(logging.Handler):
    def __init__(self, stdout: OutputWrapper) -> None:
        super().__init__(logging.INFO)
        self._stdout = stdout

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._stdout.write(self.format(record))
            self._stdout.flush()
        except Exception:  # noqa: BLE001 - logging's own rule: a line that cannot be written ends nothing
            self.handleError(record)


def show(logger: logging.Logger, stdout: OutputWrapper) -> None:
    """Write the logger's lines to the output, unless the host's `LOGGING` has a handler for them."""
    if logger.hasHandlers():
        return
    handler = _Lines(stdout)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
