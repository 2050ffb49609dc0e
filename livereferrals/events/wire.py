"""The event object that partners get, in the feed and as the body of a callback (feed protocol, 5.4)."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from livereferrals.events.cursors import Cursor

if TYPE_CHECKING:
    from livereferrals.events.logged import Logged
    from livereferrals.events.models import Event

VERSION = 1


def rfc3339(moment: datetime) -> str:
    """Return the moment in UTC with microseconds and `Z` (RFC 3339, 5.6)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_object(event: Event | Logged, *, epoch: str) -> dict[str, Any]:
    """Return the event as partners see it; its cursor is null while it has no number."""
    return {
        "v": VERSION,
        "cursor": str(Cursor(epoch, event.seq)) if event.seq is not None else None,
        "id": str(event.id),
        "type": event.type,
        "time": rfc3339(event.occurred_at),
        "partner": event.partner or None,
        "link": None if event.link is None else {"id": str(event.link), "identifier": event.link_identifier},
        "data": event.data,
    }


def canonical(value: Any) -> bytes:
    """Return JSON in canonical form: sorted keys, no spaces, non-ASCII unescaped, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def user_hash(user_pk: str, *, key: str) -> str:
    """Return the opaque `u_...` name of a user: HMAC-SHA256 under a partner's key, cut to 132 bits.

    The same for one partner over time; two partners cannot compare theirs.
    """
    digest = hmac.new(bytes.fromhex(key), user_pk.encode(), hashlib.sha256).digest()
    return "u_" + _base62(int.from_bytes(digest))[:22]


def _base62(number: int) -> str:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits += alphabet[digit]
    return digits
