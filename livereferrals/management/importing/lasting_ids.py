"""Ids that follow from the old row alone: whoever imports it again comes to the same one."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Final

from django.utils import timezone

if TYPE_CHECKING:
    from datetime import datetime

LATEST_MS: Final = (1 << 48) - 1


def lasting_uuid(moment: datetime, *names: object) -> uuid.UUID:
    """Return a UUID version 7 of this moment whose other bits are a hash of the names instead of chance (RFC 9562 5.7).

    Lists that are in the order of ids show the row where it belongs in time.
    """
    aware = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    milliseconds = min(max(0, int(aware.timestamp() * 1000)), LATEST_MS)
    hashed = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    number = milliseconds << 80 | int.from_bytes(hashed[:10])
    number = number & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=number & ~(0b11 << 62) | 0b10 << 62)
