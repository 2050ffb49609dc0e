"""Fixed headers of a subscription: which names and values may be sent (callbacks, section 5, rule 11). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext

MAX_HEADERS: Final = 10
MAX_VALUE: Final = 1024
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z", re.ASCII)
"""RFC 9110, 5.6.2; aiohttp itself lets `X A` pass."""
VALUE = re.compile(r"[\x20-\x7e\t]*\Z", re.ASCII)
FORBIDDEN: Final = frozenset(
    [
        "host",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "cookie",
        "accept-encoding",
        "user-agent",
        "forwarded",
    ]
)
FORBIDDEN_STARTS: Final = ("content-", "proxy-", "x-forwarded-", "webhook-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header that goes with every call."""

    name: str
    value: str
    secret: bool
    """Masked wherever people look."""


def read(stored: object) -> tuple[Header, ...]:
    """Return the headers that the column holds: a list of objects with `name`, `value` and perhaps `secret`.

    Rows are trusted no more than forms: this runs at save and again just before sending.

    Raises:
        ValueError: in words for a person.
    """
    if not isinstance(stored, Sequence) or isinstance(stored, str):
        raise ValueError(gettext("Headers are a list of names and values."))  # noqa: TRY004 - one error for all mistakes
    if len(stored) > MAX_HEADERS:
        raise ValueError(gettext("At most %(most)s headers can be sent.") % {"most": MAX_HEADERS})
    headers = tuple(_read_one(entry) for entry in stored)
    names = [header.name.lower() for header in headers]
    if len(set(names)) < len(names):
        raise ValueError(gettext("Each header can be given once."))
    return headers


def _read_one(entry: Any) -> Header:
    if not isinstance(entry, Mapping):
        raise ValueError(gettext("Each header has a name and a value."))  # noqa: TRY004 - as above
    name, value = entry.get("name"), entry.get("value")
    if not isinstance(name, str) or not TOKEN.match(name):
        raise ValueError(gettext("“%(name)s” is no name of a header.") % {"name": name})
    lower = name.lower()
    if lower in FORBIDDEN or lower.startswith(FORBIDDEN_STARTS):
        raise ValueError(gettext("The header %(name)s is set by the system.") % {"name": name})
    if not isinstance(value, str) or len(value) > MAX_VALUE or not VALUE.match(value):
        raise ValueError(
            gettext("The value of %(name)s may hold up to %(most)s printable ASCII characters.")
            % {"name": name, "most": MAX_VALUE}
        )
    return Header(name=name, value=value, secret=bool(entry.get("secret")))
