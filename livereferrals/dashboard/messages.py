"""Control messages of the live socket: JSON objects with a type, beside the markup of frames. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from livereferrals.exceptions import FeedError

SUBPROTOCOL: Final = "livereferrals.live.v1"
MAX_MESSAGE: Final = 4096
"""Characters of a browser's message at most."""


def control(kind: str, **facts: object) -> str:
    """Return a message to the browser; it begins with `{`, which no markup does."""
    return json.dumps({"type": kind, **facts}, separators=(",", ":"))


def parse(text: str | None) -> dict[str, Any]:
    """Return a browser's message; `None` stands for a binary one.

    Raises:
        FeedError: it is none.
    """
    message = _json(text) if text is not None and len(text) <= MAX_MESSAGE else None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise FeedError(
            "protocol_error", f"A message is a JSON object with a type, of at most {MAX_MESSAGE} characters."
        )
    return message


def _json(text: str) -> object:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found
