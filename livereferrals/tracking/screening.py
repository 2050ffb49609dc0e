"""What a hit is, judged from its values alone: which device, a repeat, somebody's own link. Pure rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

# Order decides: an Android tablet's agent lacks "Mobile", an iPad's may have it.
DEVICES: Final = (
    ("tablet", re.compile(r"ipad|tablet|kindle|silk/|playbook|android(?!.*mobile)", re.IGNORECASE)),
    ("mobile", re.compile(r"iphone|ipod|mobile|windows phone|opera mini", re.IGNORECASE)),
    ("desktop", re.compile(r"windows nt|macintosh|x11|cros ", re.IGNORECASE)),
)


def device(user_agent: str) -> str:
    """Return `desktop`, `mobile`, `tablet` or `other`, as far as the user agent says."""
    return next((kind for kind, pattern in DEVICES if pattern.search(user_agent)), "other")


def is_repeat(last_follow: datetime | None, *, now: datetime, window: timedelta) -> bool:
    """Whether a follow comes within the window after the same visitor's last one of the same link (L-39).

    A last follow in the future is a clock that was set back, and counts as now.
    """
    return last_follow is not None and now - last_follow < window


def is_self_referral(user: object | None, *, owners: Iterable[object | None]) -> bool:
    """Whether the user (a primary key) is one of those whom the link belongs to (L-37, L-38)."""
    return user is not None and user in {owner for owner in owners if owner is not None}
