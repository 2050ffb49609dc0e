"""What the server says, as values (feed protocol, 5). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from livereferrals.client.cursors import is_cursor, is_later
from livereferrals.client.errors import Breach
from livereferrals.client.events import Event, event_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_HEARTBEAT_S: Final = 20.0
MAX_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events that can no longer be given: everything after `origin`, up to and including `to`."""

    reason: str
    """`cursor_too_old` or `other_epoch`."""
    origin: str | None
    """The cursor that you had, or the time that you asked for."""
    to: str
    """Where the feed can go on from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The beginning of a connection."""

    cursor: str
    newest: str
    resume: str
    gap: Gap | None
    heartbeat_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Everything for this reader after `prev`, up to and including `cursor`; a heartbeat is one without events."""

    prev: str
    cursor: str
    events: tuple[Event, ...]
    is_heartbeat: bool = False


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """History is done."""

    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The last message before an end that is not planned."""

    code: str
    message: str
    close: int
    retry_after_s: float
    oldest: str | None
    newest: str | None


@dataclass(frozen=True, slots=True)
class Goodbye:
    """A planned end follows."""

    retry_after_s: float


Message = Hello | Piece | CaughtUp | Problem | Goodbye


def parse(text: str) -> Message | None:
    """Return what a message says; nothing for a type that is not known here.

    Raises:
        Breach: it is no message, or one that its type does not allow.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Breach("the server sent what is not JSON") from None
    return read(message)


def read(message: object) -> Message | None:
    """Return what a decoded message says.

    Raises:
        Breach: see `parse`.
    """
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise Breach("the server sent an object that is no message")
    reader = READERS.get(message["type"])
    return None if reader is None else reader(message)


def _hello(message: Mapping[str, Any]) -> Hello:
    limits = message.get("limits")
    heartbeat = limits.get("heartbeat_s") if isinstance(limits, dict) else None
    return Hello(
        cursor=_cursor(message, "cursor"),
        newest=_cursor(message, "newest"),
        resume=str(message.get("resume")),
        gap=_gap(message.get("gap")),
        heartbeat_s=_seconds(heartbeat) or DEFAULT_HEARTBEAT_S,
    )


def _gap(value: object) -> Gap | None:
    if not isinstance(value, dict):
        return None
    return Gap(reason=str(value.get("reason")), origin=value.get("from"), to=_cursor(value, "to"))


def _piece(message: Mapping[str, Any]) -> Piece:
    """Return a batch whose events stand in order inside its bounds: anything else would be skipped without a word."""
    cursor = _cursor(message, "cursor")
    listed = message.get("events", [])
    if not isinstance(listed, list) or not all(
        isinstance(event, dict) and is_cursor(event.get("cursor")) for event in listed
    ):
        raise Breach("the server sent an event without a cursor")
    events = tuple(event_of(event) for event in listed)
    places = [event.cursor for event in events]
    if any(not is_later(after, before) for before, after in pairwise(places)):
        raise Breach("the server sent a batch that is out of order")
    if places and places[-1] != cursor and not is_later(cursor, places[-1]):
        raise Breach("the server sent a batch whose events lie beyond its cursor")
    return Piece(
        prev=_cursor(message, "prev"), cursor=cursor, events=events, is_heartbeat=message["type"] == "heartbeat"
    )


def _caught_up(message: Mapping[str, Any]) -> CaughtUp:
    return CaughtUp(_cursor(message, "cursor"))


def _problem(message: Mapping[str, Any]) -> Problem:
    close = message.get("close")
    if not isinstance(close, int):
        raise Breach("the server sent an error without a close code")
    return Problem(
        code=str(message.get("code")),
        message=str(message.get("message")),
        close=close,
        retry_after_s=_seconds(message.get("retry_after_s")),
        oldest=message.get("oldest"),
        newest=message.get("newest"),
    )


def _goodbye(message: Mapping[str, Any]) -> Goodbye:
    return Goodbye(_seconds(message.get("retry_after_s")))


def _cursor(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not is_cursor(value):
        raise Breach(f"the server sent a message whose `{name}` is no cursor")
    return value


def _seconds(value: object) -> float:
    """Return a length of time: none for what is none, and a day at most."""
    return float(min(value, MAX_SECONDS)) if isinstance(value, int | float) and value > 0 else 0.0


READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Message]]] = {
    "hello": _hello,
    "events": _piece,
    "heartbeat": _piece,
    "caught_up": _caught_up,
    "error": _problem,
    "goodbye": _goodbye,
}
