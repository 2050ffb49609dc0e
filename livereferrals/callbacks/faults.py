"""Points at which a test may end or fail this process: one for each step of a delivery's state machine.

    with faults.injected(hook):     # hook(point, delivery) may raise, wait, or kill the process

Nothing but Python code of this very process installs a hook: no setting, environment variable, row or request is read.
Without one, as in production, a point costs one comparison.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterator


class Point(StrEnum):
    """A step of the worker, in the order of a delivery's life."""

    LOOKING = "looking"
    """About to look for work."""
    LEASING = "leasing"
    """The lease is written and not committed (what was lost is taken back in the same transaction)."""
    LEASED = "leased"
    """The lease is committed."""
    READ = "read"
    """What is due is known; nothing is written."""
    STARTING = "starting"
    """`sending` is written and not committed."""
    TURNED = "turned"
    """A turn is committed: starts, results and renewals."""
    RENDERING = "rendering"
    """Committed as `sending`, the request is about to be made from template and values."""
    STARTED = "started"
    """The request is rendered and signed; not a byte of it is sent."""
    ANSWERED = "answered"
    """The answer is judged; nothing of it is written."""
    SETTLING = "settling"
    """Results are written and not committed."""
    PUTTING_BACK = "putting_back"
    """A started delivery of which nothing was sent is about to go back to `waiting`."""
    RELEASING = "releasing"
    """The lease is about to be given back."""
    RELEASED = "released"
    """The lease is given back."""


_hook: Callable[[Point, uuid.UUID | None], None] | None = None


def reach(point: Point, delivery: uuid.UUID | None = None) -> None:
    """Say that this point is reached, where it is about one delivery: with which."""
    if _hook is not None:
        _hook(point, delivery)


@contextlib.contextmanager
def injected(hook: Callable[[Point, uuid.UUID | None], None]) -> Iterator[None]:
    """Call `hook` at each point that any worker of this process reaches, from whichever thread reaches it."""
    global _hook
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
