"""What the client raises, and what ends one of its connections.

FeedStopped                a program or a person must change something; the client does not come back by itself
Dropped                    one connection is over (inside the client)
+-- Breach                 the server broke the protocol: what it sent cannot be trusted
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from livereferrals.client.messages import Problem

FIRST_FINAL: Final = 4500
LAST_FINAL: Final = 4999


class FeedStopped(Exception):  # noqa: N818 - the protocol's word for the state
    """The feed has ended for good: reconnecting unchanged would end the same way (feed protocol, 9)."""

    def __init__(
        self, code: str, message: str, *, close: int | None = None, oldest: str | None = None, newest: str | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """The protocol's code, such as `token_revoked`; or the client's own `not_a_feed`, `http_<status>`, `close_<n>`."""
        self.message = message
        """For people."""
        self.close = close
        """The WebSocket close code that says the same, where there is one."""
        self.oldest = oldest
        """The oldest cursor that can be resumed from, where the server said it."""
        self.newest = newest


class Dropped(Exception):  # noqa: N818 - an expected end, not an error
    """One connection is over."""

    def __init__(
        self, why: str, *, close: int | None = None, problem: Problem | None = None, retry_after_s: float = 0
    ) -> None:
        super().__init__(why)
        self.why = why
        self.problem = problem
        """The `error` message that came before the end. It counts before the close code."""
        self.close = problem.close if problem is not None else close
        self.retry_after_s = retry_after_s

    @property
    def is_final(self) -> bool:
        """The class rule: 4500 to 4999 stop, anything else means coming back with the cursor."""
        return self.close is not None and FIRST_FINAL <= self.close <= LAST_FINAL

    def as_stop(self) -> FeedStopped:
        """Return what the owner gets to see."""
        if self.problem is None:
            return FeedStopped(f"close_{self.close}", self.why, close=self.close)
        told = self.problem
        return FeedStopped(told.code, told.message, close=told.close, oldest=told.oldest, newest=told.newest)


class Breach(Dropped):
    """The server sent what the protocol forbids; the place is kept, and asked for anew on another connection."""
