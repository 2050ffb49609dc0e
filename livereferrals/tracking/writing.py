"""Writing a batch of hits so that every one that can be written is, and none twice.

A batch that the database refuses is written hit by hit, so that a bad row costs only itself. A connection that is lost is
renewed once; what the lost one had committed after all is found by the hits' ids, which are made before.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from django.db import DataError, Error, IntegrityError, connections, router, transaction

from livereferrals import conf, ids
from livereferrals.tracking import recording
from livereferrals.tracking.drafts import Recorded
from livereferrals.tracking.models import ReferralHit, ReferralLink
from livereferrals.tracking.writing_sqlite import SqliteWriter

if TYPE_CHECKING:
    import asyncio
    import uuid
    from collections.abc import Mapping, Sequence

    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.loop_writing import LoopHits
    from livereferrals.tracking.writing_postgres import PostgresWriter

logger = logging.getLogger(__name__)

Outcome = Recorded | Exception
"""What has become of one draft."""
REFUSED: Final = (IntegrityError, DataError)
"""The database has looked at a row and does not take it."""


class Row(Protocol):
    """What was written for one draft."""

    @property
    def hit(self) -> uuid.UUID:
        """The hit's id."""

    @property
    def visitor(self) -> uuid.UUID | None:
        """The visitor's id."""


class Written(NamedTuple):
    """What the plain way has written."""

    hit: uuid.UUID
    visitor: uuid.UUID | None


class Writer(Protocol):
    """Writes batches; each in one transaction."""

    numbered: int | None
    """How many events of the last batch have their numbers; nothing: they are still to be numbered."""

    def write(self, drafts: Sequence[HitDraft], *, hits: Sequence[uuid.UUID]) -> Sequence[Row]:
        """Record the drafts as these hits, in their order."""


class Hits:
    """Writes drafts over the calling thread's own connection; for one thread."""

    def __init__(self) -> None:
        self._writer: Writer | None = None
        self._connection: Any = None
        self.numbered: int | None = 0
        """How many events of the last writing have their numbers; nothing: some are still to be numbered."""

    @property
    def tells(self) -> bool:
        """Whether the writing tells the host of its hits by itself."""
        return isinstance(self._writer, PlainWriter)

    def write(self, drafts: Sequence[HitDraft], *, tried: Sequence[uuid.UUID | None] = ()) -> list[Outcome]:
        """Return what has become of each draft; raises nothing.

        Args:
            drafts: what is to be recorded.
            tried: for each draft the id of a hit that may be there already, if there was an attempt before.
        """
        self.numbered = 0
        hits = [hit or ids.new_uuid() for hit in tried or [None] * len(drafts)]
        if any(tried):
            self._ready()
            return self._again(drafts, hits)
        try:
            return self._batch(drafts, hits)
        except REFUSED:
            return self._one_by_one(drafts, hits)
        except Error:
            return self._again(drafts, hits)
        except Exception:  # of a row that cannot even be made; the others are not to pay for it
            logger.exception("A batch of hits cannot be made.", extra={"action": "hit.unmakable"})
            return self._one_by_one(drafts, hits)

    def _again(self, drafts: Sequence[HitDraft], hits: Sequence[uuid.UUID]) -> list[Outcome]:
        """Write the drafts over a new connection."""
        self.numbered = None  # of what the lost one has committed nobody knows
        self._renew()
        try:
            there = self._there(hits)
            left = [place for place, hit in enumerate(hits) if hit not in there]
            new = self._batch([drafts[place] for place in left], [hits[place] for place in left])
        except REFUSED:
            return self._one_by_one(drafts, hits)
        except Error as error:
            return [error] * len(drafts)
        except Exception:  # as in `write`
            logger.exception("A batch of hits cannot be made.", extra={"action": "hit.unmakable"})
            return self._one_by_one(drafts, hits)
        found = {recorded.hit_id: recorded for recorded in new if isinstance(recorded, Recorded)} | there
        return [found[hit] for hit in hits]

    def _one_by_one(self, drafts: Sequence[HitDraft], hits: Sequence[uuid.UUID]) -> list[Outcome]:
        """Write each draft in a transaction of its own; after the database has gone, the others are lost too."""
        outcomes: list[Outcome] = []
        for draft, hit in zip(drafts, hits, strict=True):
            try:
                outcomes += self._there([hit]).values() or self._batch([draft], [hit])
            except REFUSED as refusal:
                outcomes.append(refusal)
            except Error as gone:
                return outcomes + [gone] * (len(drafts) - len(outcomes))
            except Exception as mistake:  # noqa: BLE001 - it is told to the one who asked
                outcomes.append(mistake)
        return outcomes

    def _batch(self, drafts: Sequence[HitDraft], hits: Sequence[uuid.UUID]) -> list[Outcome]:
        if not drafts:
            return []
        writer = self._ready()
        rows = writer.write(drafts, hits=hits)
        self.numbered = None if self.numbered is None or writer.numbered is None else self.numbered + writer.numbered
        return [Recorded(row.hit, row.visitor) for row in rows]

    def _there(self, hits: Sequence[uuid.UUID]) -> dict[uuid.UUID, Recorded]:
        rows = ReferralHit.objects.using(self._connection.alias).filter(pk__in=hits)
        return {hit: Recorded(hit, visitor) for hit, visitor in rows.values_list("pk", "visitor")}

    def _ready(self) -> Writer:
        connection = connections[router.db_for_write(ReferralHit)]
        kind = _kind(connection)
        if not isinstance(self._writer, kind) or self._connection is not connection:
            self._connection, self._writer = connection, kind(connection)
        return self._writer

    def _renew(self) -> None:
        # Inside a transaction of the caller's the connection is the caller's.
        if not self._connection.in_atomic_block:
            self._connection.close()


class PlainWriter:
    """Writes hits as the plain way does, in one transaction: for other databases, and for a host with fields of its own."""

    numbered: int | None = None

    def __init__(self, connection: Any) -> None:
        self._alias: str = connection.alias

    def write(self, drafts: Sequence[HitDraft], *, hits: Sequence[uuid.UUID]) -> list[Written]:
        """Record the drafts in one transaction. One query for the links, then those of `record_hit` for each."""
        with transaction.atomic(using=self._alias):
            known = ReferralLink.objects.using(self._alias).select_related("partner")
            links = known.in_bulk({draft.link.id for draft in drafts})
            return [self._record(draft, hit, links) for draft, hit in zip(drafts, hits, strict=True)]

    @staticmethod
    def _record(draft: HitDraft, hit_id: uuid.UUID, links: Mapping[uuid.UUID, ReferralLink]) -> Written:
        values = draft._asdict()
        link = links.get(values.pop("link").id)
        if link is None:
            raise IntegrityError(f"The link {draft.link.identifier!r} is gone.")
        hit = recording.record_hit(link, hit_id=hit_id, **values)
        return Written(hit=hit.pk, visitor=hit.visitor_id)


def _kind(connection: Any) -> type[PostgresWriter | SqliteWriter | PlainWriter]:
    """Return what writes batches over such a connection."""
    if conf.settings.FEED_EVENT_FIELDS is not None:
        return PlainWriter  # the host's function is asked inside the transaction, when the hit is there
    if connection.vendor == "sqlite":
        return SqliteWriter
    if _is_psycopg(connection):
        from livereferrals.tracking.writing_postgres import PostgresWriter

        return PostgresWriter
    return PlainWriter


def _is_psycopg(connection: Any) -> bool:
    return bool(connection.vendor == "postgresql" and connection.Database.__name__ == "psycopg")  # not version 2


def loop_hits(loop: asyncio.AbstractEventLoop, **options: Any) -> LoopHits | None:
    """Return what writes hits on the loop itself, if the database and the loop can do that."""
    if conf.settings.FEED_EVENT_FIELDS is not None or not _is_psycopg(connections[router.db_for_write(ReferralHit)]):
        return None
    if not _watches_sockets(loop):
        return None
    from livereferrals.tracking.loop_writing import LoopHits

    return LoopHits(loop, **options)


def _watches_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop tells when a socket can be read: all do but Windows' default one."""
    ours, other = socket.socketpair()
    with ours, other:
        try:
            loop.add_reader(ours, lambda: None)
        except NotImplementedError:
            return False
        loop.remove_reader(ours)
        return True
