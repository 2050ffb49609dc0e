"""The feed's messages, codes and words (feed protocol, 5 and 9). Pure: no database, no settings, no sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError, InvalidCursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROTOCOL: Final = "livereferrals.v1"

TYPES: Final = ("hit", "claim", "confirmation", "reversal", "delivery")
"""Event types, in the order in which `hello` lists them."""
SCOPE_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "hits": ("hit",),
    "claims": ("claim",),
    "confirmations": ("confirmation", "reversal"),
    "deliveries": ("delivery",),
}
SCOPES: Final = (*SCOPE_TYPES, "amounts")

MAX_PING_ID: Final = 64


@dataclass(frozen=True, slots=True)
class Ending:
    """What a code does to a connection."""

    close: int
    """WebSocket close code; below 4500 the client comes back with its cursor, from there on it stops."""
    http: int | None
    """Status on the HTTP transports, where it can come up there."""

    @property
    def retry(self) -> bool:
        """Whether coming back unchanged makes sense (the class rule)."""
        return self.close < 4500


ENDINGS: Final[dict[str, Ending]] = {
    "restart": Ending(4000, 503),
    "resync": Ending(4001, None),
    "slow_consumer": Ending(4008, None),
    "unavailable": Ending(4009, 503),
    "max_age": Ending(4010, None),
    "rate_limited": Ending(4029, 429),
    "too_many_connections": Ending(4029, 429),
    "protocol_error": Ending(4500, 400),
    "unauthorized": Ending(4501, 401),
    "token_expired": Ending(4501, 401),
    "token_revoked": Ending(4501, 401),
    "token_in_url": Ending(4501, 401),
    "ticket_used": Ending(4501, 401),
    "forbidden": Ending(4503, 403),
    "unsupported_version": Ending(4505, 400),
    "cursor_too_old": Ending(4510, 410),
    "other_epoch": Ending(4511, 410),
    "cursor_in_future": Ending(4512, 409),
    "bad_cursor": Ending(4513, 400),
    "bad_request": Ending(4514, 400),
}
"""The table of section 9, the only place that knows the numbers."""


# --- from the server ------------------------------------------------------------------------------------------------------


def _text(message: Mapping[str, Any]) -> str:
    # ASCII: what a client sent comes back in `pong`, and a lone surrogate would break a UTF-8 frame.
    return json.dumps(message, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A hole that the client agreed to pass over."""

    reason: str
    origin: str
    """The cursor that the client gave, or its `since`."""
    to: Cursor


def hello(
    *,
    connection: str,
    time: str,
    topic: str,
    types: Sequence[str],
    links: Sequence[str] | None,
    cursor: Cursor,
    oldest: int,
    newest: int,
    resume: str,
    gap: Gap | None,
    ack: bool,
    limits: Mapping[str, int],
) -> str:
    """Return the first message of a connection."""
    message: dict[str, Any] = {
        "type": "hello",
        "protocol": PROTOCOL,
        "connection": connection,
        "time": time,
        "topic": topic,
        "types": list(types),
        "links": None if links is None else list(links),
        "epoch": cursor.epoch,
        "cursor": str(cursor),
        "oldest": str(Cursor(cursor.epoch, oldest)),
        "newest": str(Cursor(cursor.epoch, newest)),
        "resume": resume,
        "ack": ack,
        "limits": dict(limits),
    }
    if gap is not None:
        message["gap"] = {"reason": gap.reason, "from": gap.origin, "to": str(gap.to)}
    return _text(message)


def heartbeat(*, prev: Cursor, cursor: Cursor, time: str) -> str:
    """Return the message that moves a quiet client's cursor on."""
    return _text({"type": "heartbeat", "prev": str(prev), "cursor": str(cursor), "time": time})


def caught_up(cursor: Cursor) -> str:
    """Return the message that says history is done."""
    return _text({"type": "caught_up", "cursor": str(cursor)})


def pong(*, ping_id: str, cursor: Cursor) -> str:
    """Return the answer to a `ping`."""
    return _text({"type": "pong", "id": ping_id, "cursor": str(cursor)})


def goodbye(*, reason: str, retry_after_s: float) -> str:
    """Return the message before a planned end."""
    return _text({"type": "goodbye", "reason": reason, "retry_after_s": round(retry_after_s, 1)})


def error(problem: FeedError) -> str:
    """Return the last message before a close."""
    ending = ENDINGS[problem.code]
    return _text(
        {
            "type": "error",
            "code": problem.code,
            "message": problem.message,
            "close": ending.close,
            "retry": ending.retry,
            "retry_after_s": problem.retry_after_s,
            "oldest": problem.oldest,
            "newest": problem.newest,
        }
    )


# --- from the client ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to the cursor is handled."""

    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Ping:
    """A question whether the server is there."""

    id: str


def parse_client_message(text: str | None, *, max_bytes: int) -> Ack | Ping | None:
    """Return what a client says in a text frame; nothing for a type that is not known here.

    Raises:
        FeedError: `protocol_error`, it is no message.
    """
    if text is None:
        raise _protocol_error("Messages are text frames, not binary ones.")
    if len(text.encode(errors="surrogatepass")) > max_bytes:
        raise _protocol_error(f"A message may have at most {max_bytes} bytes.")
    try:
        message = json.loads(text)
    # Nesting that exhausts the parser's stack is a RecursionError; an integer of thousands of digits a ValueError.
    except (ValueError, RecursionError):
        raise _protocol_error("A message must be one JSON object.") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise _protocol_error("A message must be a JSON object with a `type`.")
    if message["type"] == "ack":
        return Ack(_acked_cursor(message.get("cursor")))
    if message["type"] == "ping":
        return Ping(_ping_id(message.get("id")))
    return None


def _acked_cursor(value: object) -> Cursor:
    if isinstance(value, str):
        try:
            return Cursor.parse(value)
        except InvalidCursor:
            pass
    raise _protocol_error("An `ack` carries the cursor of a message that it acknowledges.")


def _ping_id(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_PING_ID:
        raise _protocol_error(f"A `ping` carries an `id`, a text of at most {MAX_PING_ID} characters.")
    return value


def _protocol_error(message: str) -> FeedError:
    return FeedError("protocol_error", message)
