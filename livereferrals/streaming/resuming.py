"""Where a reader starts: every outcome of a cursor (feed protocol, 8). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming.protocol import Gap

if TYPE_CHECKING:
    from livereferrals.streaming.parameters import Parameters

Resume = Literal["live", "ok", "gap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the log begins and ends."""

    epoch: str
    head: int
    oldest: int

    @property
    def oldest_cursor(self) -> Cursor:
        """The oldest cursor that can be resumed from."""
        return Cursor(self.epoch, self.oldest)

    @property
    def newest_cursor(self) -> Cursor:
        """The cursor at the head."""
        return Cursor(self.epoch, self.head)

    def refusal(self, code: str, message: str) -> FeedError:
        """Return a refusal that says where the log begins and ends."""
        return FeedError(code, message, oldest=str(self.oldest_cursor), newest=str(self.newest_cursor))

    def too_old(self) -> FeedError:
        """Return the refusal of a reader that retention has passed by."""
        return self.refusal("cursor_too_old", f"Events before {self.oldest_cursor} are no longer kept.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a connection starts."""

    cursor: Cursor
    resume: Resume
    gap: Gap | None = None


def start_of(wanted: Parameters, place: Place, *, since_seq: int | None) -> Start:
    """Return where a reader starts.

    Args:
        wanted: what it asked for.
        place: the log's bounds, read from the database just now (another process may be ahead of this one's hub).
        since_seq: the number that its `since` means; `None` without one, or when that lies before what is kept.

    Raises:
        FeedError: `cursor_too_old`, `other_epoch` or `cursor_in_future`.
    """
    if wanted.since is not None:
        if since_seq is None:
            return _gap(wanted, place, reason="cursor_too_old", origin=wanted.since.isoformat())
        return Start(cursor=Cursor(place.epoch, since_seq), resume="ok")
    if wanted.from_oldest:
        return Start(cursor=place.oldest_cursor, resume="ok")
    if wanted.cursor is None:
        return Start(cursor=place.newest_cursor, resume="live")
    return _from_cursor(wanted.cursor, wanted, place)


def _from_cursor(cursor: Cursor, wanted: Parameters, place: Place) -> Start:
    if cursor.epoch != place.epoch:
        return _gap(wanted, place, reason="other_epoch", origin=str(cursor))
    if cursor.seq < place.oldest:
        return _gap(wanted, place, reason="cursor_too_old", origin=str(cursor))
    if cursor.seq > place.head:
        raise place.refusal("cursor_in_future", f"There is no {cursor} yet; the newest is {place.newest_cursor}.")
    return Start(cursor=cursor, resume="ok")


def _gap(wanted: Parameters, place: Place, *, reason: str, origin: str) -> Start:
    """Tell of a hole: by an error, or in `hello` where the client has agreed to it beforehand."""
    if wanted.passes_gap:
        oldest = place.oldest_cursor
        return Start(cursor=oldest, resume="gap", gap=Gap(reason=reason, origin=origin, to=oldest))
    if reason == "other_epoch":
        raise place.refusal("other_epoch", f"The log was renumbered: its cursors now begin with {place.epoch}.")
    raise place.too_old()
