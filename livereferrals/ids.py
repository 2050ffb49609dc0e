"""Identifiers: time-ordered UUIDs for rows that others see, random text for what people type."""

from __future__ import annotations

import secrets
import string
import uuid
from typing import TYPE_CHECKING

from uuid_utils import compat

if TYPE_CHECKING:
    from datetime import datetime

ALPHANUMERICS = string.ascii_letters + string.digits


def new_uuid() -> uuid.UUID:
    """Return a UUID version 7, later than every one that this process made before (RFC 9562 6.2)."""
    return compat.uuid7()


def first_uuid(moment: datetime) -> uuid.UUID:
    """Return the smallest UUID version 7 that can be made at this moment: a bound of a span of time (RFC 9562 5.7)."""
    return uuid.UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def random_identifier(length: int = 8) -> str:
    """Return `length` random ASCII letters and digits from a cryptographic source."""
    return "".join(secrets.choice(ALPHANUMERICS) for _ in range(length))


def random_uid() -> str:
    """Return a partner's uid: 8 random alphanumerics."""
    return random_identifier(8)


def random_key() -> str:
    """Return 64 hexadecimal digits (256 random bits), the key of a keyed hash."""
    return secrets.token_hex(32)


def random_epoch() -> str:
    """Return an event log's epoch: 8 of `[a-z0-9]`, so that two logs never share a cursor."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
