"""What may be shown and stored of a call: secrets masked, control characters escaped, text that any database takes."""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MASK: Final = "***"
SECRET_QUERY = re.compile(
    r"((?:[?&;]|^)[^=&;?#]*(?:token|key|secret|password|sig|auth)[^=&;?#]*=)[^&;#\s]+", re.IGNORECASE
)
SECRET_HEADER = re.compile(r"token|key|secret|password|sig|auth|cookie", re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
SHORTEST_SECRET: Final = 6
"""A shorter secret is no secret, and replacing it would tear ordinary words."""


def url(text: str) -> str:
    """Return a URL with the values of secret-looking query parameters masked."""
    return SECRET_QUERY.sub(rf"\1{MASK}", text)


def headers(pairs: Mapping[str, str], *, secret: Iterable[str] = ()) -> dict[str, str]:
    """Return headers with secret-looking values masked, and those of the names in `secret`."""
    hidden = {name.lower() for name in secret}
    return {
        name: MASK if name.lower() in hidden or SECRET_HEADER.search(name) else value for name, value in pairs.items()
    }


def without(text: str, secrets: Iterable[str]) -> str:
    """Return the text with these values masked: a server may repeat what it was sent."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text


def trace(error: BaseException, secrets: Iterable[str]) -> str:
    """Return an exception's traceback for the log, masked."""
    return without(url("".join(traceback.format_exception(error))), secrets)


def storable(data: bytes | str, *, limit: int) -> str:
    """Return text that PostgreSQL can store and a page can show: control characters and bad UTF-8 as hex escapes."""
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
    return CONTROL.sub(lambda found: _escaped(found[0]), text[:limit])[:limit]


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
