"""The event log itself: append in the caller's transaction, read by number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from django.db import router, transaction

from livereferrals import ids
from livereferrals.events import bulk, publisher
from livereferrals.events.cursors import Cursor
from livereferrals.events.extras import fields
from livereferrals.events.models import Event, EventLog, EventType

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

    from livereferrals.events.logged import Logged


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be written to the log."""

    type: EventType
    occurred_at: datetime
    data: dict[str, Any]
    """What the partner sees; every field of the type, unknown ones `None`."""
    partner: str = ""
    """The partner's uid; empty for the house."""
    link: uuid.UUID | None = None
    link_identifier: str = ""
    visitor: uuid.UUID | None = None
    user: str = ""
    """The user's primary key as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where the log begins and ends."""

    epoch: str
    head: int
    """Number of the newest event, 0 for an empty log."""
    oldest: int
    """The first kept event is the one after this."""
    revision: int = 0
    """How often events that may have been read were changed."""

    @classmethod
    def of(cls, row: EventLog) -> Self:
        """Return the bounds that the log's row holds."""
        return cls(epoch=row.epoch, head=row.head, oldest=row.oldest, revision=row.revision)

    @property
    def newest_cursor(self) -> Cursor:
        """The cursor at the head."""
        return Cursor(self.epoch, self.head)

    @property
    def oldest_cursor(self) -> Cursor:
        """The oldest cursor that can be resumed from."""
        return Cursor(self.epoch, self.oldest)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a watcher follows: everything, one partner, or one link."""

    partner: str | None = None
    link: uuid.UUID | None = None

    def __str__(self) -> str:
        if self.partner is not None:
            return f"partner:{self.partner}"
        return f"link:{self.link}" if self.link is not None else "all"

    def covers(self, event: Event | Logged) -> bool:
        """Whether the event belongs to this topic."""
        if self.partner is not None:
            return event.partner == self.partner
        return self.link is None or event.link == self.link


EVERYTHING = Topic()
COLUMNS: Final = ("id", "type", "occurred_at", "partner", "link", "link_identifier", "visitor", "user", "data")
"""What an event has before it has a number."""


def append(entry: Entry) -> Event:
    """Write one event inside the caller's transaction; it is numbered after the commit. One insert."""
    return append_all([entry])[0]


def append_all(entries: Iterable[Entry]) -> list[Event]:
    """Write several events inside the caller's transaction, in this order. One insert for up to some hundreds.

    Without a transaction they are committed, and numbered, at once.
    """
    alias = router.db_for_write(Event)
    with transaction.atomic(using=alias, savepoint=False):
        rows = [
            Event(
                id=ids.new_uuid(),
                type=entry.type,
                occurred_at=entry.occurred_at,
                data=fields.data_of(entry, using=alias),
                partner=entry.partner,
                link=entry.link,
                link_identifier=entry.link_identifier,
                visitor=entry.visitor,
                user=entry.user,
            )
            for entry in entries
        ]
        Event.objects.using(alias).bulk_create(rows)
        publisher.publish_on_commit(alias)
    return rows


def write_all(entries: Iterable[Entry]) -> None:
    """Do the same without rows of Django's in between: for who writes hundreds of events a second. One insert."""
    alias = router.db_for_write(Event)
    with transaction.atomic(using=alias, savepoint=False):
        rows = [
            (
                ids.new_uuid(),
                entry.type,
                entry.occurred_at,
                entry.partner,
                entry.link,
                entry.link_identifier,
                entry.visitor,
                entry.user,
                fields.data_of(entry, using=alias),
            )
            for entry in entries
        ]
        bulk.insert(Event, COLUMNS, rows, using=alias)
        publisher.publish_on_commit(alias)


def bounds() -> Bounds:
    """Return the log's epoch and bounds. One query."""
    return Bounds.of(load_log())


def load_log() -> EventLog:
    """Return the log's row, made anew where a flush of the tables took it away. One query."""
    alias = router.db_for_write(EventLog)
    manager = EventLog.objects.using(alias)
    return manager.filter(pk=EventLog.SINGLETON).first() or manager.get_or_create(pk=EventLog.SINGLETON)[0]


def read(after: int, *, upto: int | None = None, limit: int, topic: Topic = EVERYTHING) -> list[Event]:
    """Return at most `limit` numbered events of the topic with `after < seq <= upto`, in order. One query.

    Numbers are given by one sequencer under one lock, so that no smaller number can appear later.
    """
    events = Event.objects.using(router.db_for_write(Event)).filter(seq__gt=after)
    if upto is not None:
        events = events.filter(seq__lte=upto)
    if topic.partner is not None:
        events = events.filter(partner=topic.partner)
    if topic.link is not None:
        events = events.filter(link=topic.link)
    return list(events.order_by("seq")[:limit])
