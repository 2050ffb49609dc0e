"""Waiting for a condition, with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

DEADLINE_S = 60.0
"""Never reached where all is well: a machine that does ten other things is slow, and not wrong."""
PAUSE_S = 0.02


def _say(what: str, last: object, timeout_s: float) -> str:
    return f"{what or 'The condition'} did not come within {timeout_s} s; the last answer was {last!r}."


def wait_until(condition: Callable[[], T], *, timeout_s: float = DEADLINE_S, what: str = "") -> T:
    """Call `condition` until it gives something true and return that; fail loudly at the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(_say(what, found, timeout_s))
        time.sleep(PAUSE_S)
    return found


@overload
async def eventually(condition: Callable[[], Awaitable[T]], *, timeout_s: float = ..., what: str = ...) -> T: ...


@overload
async def eventually(condition: Callable[[], T], *, timeout_s: float = ..., what: str = ...) -> T: ...


async def eventually(condition: Callable[[], Any], *, timeout_s: float = DEADLINE_S, what: str = "") -> Any:
    """Async form of `wait_until`; `condition` may be a plain function or give an awaitable."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        found = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(_say(what, found, timeout_s))
        await asyncio.sleep(PAUSE_S)
