"""How many live sockets one session may have: a browser that opens more than a person looks at is told so.

Counted in each process by itself: this keeps a runaway out, and needs no query and no shared store.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.utils.translation import ngettext

from livereferrals.exceptions import FeedError

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKETS: Final = 20
"""Of one session, in one process."""

_open: Counter[str] = Counter()
_lock = threading.Lock()


@contextmanager
def seat(session_key: str) -> Iterator[None]:
    """Count one socket of the session while it is open.

    Raises:
        FeedError: it has as many as it may have.
    """
    with _lock:
        if _open[session_key] >= SOCKETS:
            text = ngettext(
                "%(count)s page of the dashboard is open in this browser. Close one, and this one is live again.",
                "%(count)s pages of the dashboard are open in this browser. Close some, and this one is live again.",
                SOCKETS,
            )
            raise FeedError("too_many_connections", text % {"count": SOCKETS})
        _open[session_key] += 1
    try:
        yield
    finally:
        with _lock:
            _open[session_key] -= 1
            if not _open[session_key]:
                del _open[session_key]
