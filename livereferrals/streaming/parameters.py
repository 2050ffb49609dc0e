"""What a reader asks for in the URL (feed protocol, 2). Pure."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl

from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError, InvalidCursor
from livereferrals.streaming.protocol import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
D = TypeVar("D")

MAX_URL_BYTES: Final = 4096
MAX_BATCH: Final = 500
MAX_WAIT_S: Final = 30
WAIT_S: Final = 25
MAX_LIMIT: Final = 1000
LIMIT: Final = 500
OLDEST: Final = "oldest"
NEWEST: Final = "newest"
KNOWN: Final = ("cursor", "since", "types", "links", "on_gap", "ack", "batch", "wait", "limit", "ticket")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)
UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """A reader's wishes, each of good form; whether they can be granted is not known yet."""

    cursor: Cursor | None = None
    """Where to carry on."""
    from_oldest: bool = False
    """Whether it asked for all that is kept."""
    since: datetime | None = None
    """Start before the first event numbered at or after it."""
    types: frozenset[str] | None = None
    """Event types; `None`: all that the token allows."""
    links: frozenset[uuid.UUID] | None = None
    """Ids of links; `None`: all."""
    passes_gap: bool = False
    """Whether it goes on from the oldest event where its cursor cannot be honoured."""
    acks: bool = False
    """Whether it will acknowledge."""
    batch: int = MAX_BATCH
    """Most events in one batch."""
    wait_s: int = WAIT_S
    """How long a poll may wait for something to come."""
    limit: int = LIMIT
    """Most events in the answer to a poll."""


def parse_parameters(query: str, *, last_event_id: str | None = None, etag: str | None = None) -> Parameters:
    """Return what the query string asks for; unknown parameters are ignored.

    Args:
        query: as it stands in the URL.
        last_event_id: the cursor that an `EventSource` comes back with; it wins over what its URL says.
        etag: the cursor of an `If-None-Match`, which stands for `cursor`.

    Raises:
        FeedError: `bad_cursor` or `bad_request`.
    """
    given = _once_each(query)
    if last_event_id is not None:
        given.pop("since", None)
        given["cursor"] = last_event_id
    if etag is not None and given.setdefault("cursor", etag) != etag:
        raise _bad("cursor", "differs from `If-None-Match`")
    cursor, from_oldest = _cursor(given["cursor"]) if "cursor" in given else (None, False)
    if "since" in given and "cursor" in given:
        raise _bad("since", "cannot be given together with `cursor`")
    return Parameters(
        cursor=cursor,
        from_oldest=from_oldest,
        since=_read(given, "since", _moment, default=None),
        types=_read(given, "types", _types, default=None),
        links=_read(given, "links", _links, default=None),
        passes_gap=_read(given, "on_gap", lambda value: _word(value, stop=False, oldest=True), default=False),
        acks=_read(given, "ack", lambda value: _word(value, **{"0": False, "1": True}), default=False),
        batch=_read(given, "batch", lambda value: _number(value, 1, MAX_BATCH), default=MAX_BATCH),
        wait_s=_read(given, "wait", lambda value: _number(value, 0, MAX_WAIT_S), default=WAIT_S),
        limit=_read(given, "limit", lambda value: _number(value, 1, MAX_LIMIT), default=LIMIT),
    )


def check_url_length(path: str, query: str) -> None:
    """Refuse a URL that is longer than anybody needs.

    Raises:
        FeedError: `bad_request`.
    """
    if len(path) + len(query) > MAX_URL_BYTES:
        raise FeedError("bad_request", f"The URL may have at most {MAX_URL_BYTES} bytes.")


def _once_each(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in KNOWN:
            if name in given:
                raise _bad(name, "is given twice")
            given[name] = value
    return given


def _read(given: dict[str, str], name: str, parse: Callable[[str], T], *, default: D) -> T | D:
    if name not in given:
        return default
    try:
        return parse(given[name])
    except ValueError as error:
        raise _bad(name, str(error)) from None


def _cursor(text: str) -> tuple[Cursor | None, bool]:
    if text in {OLDEST, NEWEST}:
        return None, text == OLDEST
    try:
        return Cursor.parse(text), False
    except InvalidCursor as error:
        raise FeedError("bad_cursor", str(error)) from None


def _moment(text: str) -> datetime:
    if RFC3339.match(text) is None:
        raise ValueError("is a time like 2026-11-21T09:00:00Z (a + in it is written %2B)")
    # The form is right, the day may not be: fromisoformat says so.
    moment = datetime.fromisoformat(text.upper())
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is a time of a year from 1 to 9999 in UTC") from None


def _types(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if unknown := sorted(names.difference(TYPES)):
        raise ValueError(f"names an unknown type {unknown[0][:50]!r}; known are {', '.join(TYPES)}")
    return names


def _links(text: str) -> frozenset[uuid.UUID]:
    parts = text.split(",")
    if any(UUID_FORM.match(part) is None for part in parts):
        raise ValueError("is a comma list of link ids")
    return frozenset(uuid.UUID(part) for part in parts)


def _word(text: str, **meanings: bool) -> bool:
    if text not in meanings:
        raise ValueError(f"is one of {', '.join(meanings)}")
    return meanings[text]


def _number(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high)) and low <= int(text) <= high):
        raise ValueError(f"is a number from {low} to {high}")
    return int(text)


def _bad(name: str, problem: str) -> FeedError:
    return FeedError("bad_request", f"The parameter `{name}` {problem}.")
