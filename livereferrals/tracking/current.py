"""The request that is being answered, for code that is not handed it: a trigger inside a model's `save()`.

A context variable: it is per thread under WSGI, per task under ASGI, and follows `sync_to_async` and child tasks.
A thread that a view starts by itself has none (S-24).
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

_current: ContextVar[HttpRequest | None] = ContextVar("livereferrals_request", default=None)


def current_request() -> HttpRequest | None:
    """Return the request that is being answered here, or nothing outside of one."""
    return _current.get()


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    """Make `request` the current one inside the block."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)
