"""A batch of hits on SQLite: one transaction that takes the write lock at once and numbers its events, and one flush."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from livereferrals.events import direct
from livereferrals.events.models import Event
from livereferrals.tracking import hit_columns
from livereferrals.tracking.hit_columns import Fixed
from livereferrals.tracking.hit_rows import carried_pairs, places_of, rows_of, told
from livereferrals.tracking.models import ReferralHit, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.hit_rows import HitRow, Pair


class SqliteWriter:
    """Writes batches over one of Django's connections."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._adapt: Callable[[datetime], str] = connection.ops.adapt_datetimefield_value
        self._read_time: Callable[..., datetime | None] = connection.ops.convert_datetimefield_value
        self._inserts = {model: Insert(connection, model) for model in hit_columns.PLACES}
        self._lookup = _lookup(connection)
        self._log = direct.OnSqlite(connection)
        self.numbered: int | None = 0

    def write(self, drafts: Sequence[HitDraft], *, hits: Sequence[uuid.UUID]) -> list[HitRow]:
        """Record the drafts in one transaction and return their rows. Five statements, and one for each carried visitor."""
        connection = self._connection
        connection.ensure_connection()
        if not connection.in_atomic_block and connection.transaction_mode is None:
            # A transaction that begins by reading cannot always become one that writes (SQLite docs, "Isolation").
            connection.transaction_mode = IMMEDIATE
        pairs, numbers = carried_pairs(drafts), not connection.in_atomic_block
        # Not `write_transaction`: where one group follows the other, whoever sleeps would never find the lock free.
        with transaction.atomic(using=connection.alias):
            rows = rows_of(drafts, hits=hits, last_follows=self._last_follows(pairs) if pairs else {})
            with connection.wrap_database_errors:
                state = self._insert(connection.connection, rows, numbers=numbers)
        self.numbered = told(rows, state)
        return rows

    def _insert(self, raw: Any, rows: Sequence[HitRow], *, numbers: bool) -> direct.State | None:
        places = places_of(rows)
        number = max(places)
        state, stamp = (self._log.state(raw) if numbers and number else None) or (None, None)
        given = [
            (*self._given(row), None if state is None else state.head + place, stamp)
            for row, place in zip(rows, places, strict=True)
        ]
        fresh = [each for each, row in zip(given, rows, strict=True) if row.fresh]
        events = [each for each, row in zip(given, rows, strict=True) if row.is_told]
        for model, chosen in ((Visitor, fresh), (ReferralHit, given), (Event, events)):
            self._inserts[model].write(raw, chosen)
        if state is not None and stamp is not None:
            self._log.forward(raw, number=number, stamp=stamp)
        return state

    def _last_follows(self, pairs: Sequence[Pair]) -> dict[Pair, datetime | None]:
        """Return when the carried visitors that are nobody's last followed; the transaction locks everybody out."""
        found: dict[Pair, datetime | None] = {}
        with self._connection.cursor() as cursor:
            for visitor, link in pairs:
                cursor.execute(self._lookup, [link.hex, visitor.hex])
                for (last,) in cursor.fetchall():
                    found[visitor, link] = self._read_time(last, None, self._connection)
        return found

    def _given(self, row: HitRow) -> tuple[Any, ...]:
        draft, said = row.draft, row.kept
        link = draft.link
        return (
            row.hit.hex,
            row.event.hex,
            None if row.visitor is None else row.visitor.hex,
            link.id.hex,
            link.partner_id,
            link.partner_uid,
            link.identifier,
            self._adapt(draft.now),
            row.data,
            row.repeat,
            draft.bot,
            draft.flagged_by,
            not draft.consent,
            *said,
        )


IMMEDIATE: Final = "IMMEDIATE"
GIVEN: Final = (
    "hit", "event", "visitor", "link", "partner", "partner_uid", "link_identifier", "at", "data", "repeat", "bot", "flagged_by",
    "no_consent", "entry_url", "user_agent", "referer", "click_id", "sub1", "sub2", "sub3", "sub4", "sub5", "ip", "device",
    "seq", "stamp",
)  # fmt: skip
"""What each row gives, in the order of `_given`, and the number of its event."""


class Insert:
    """Fills one table from what the rows give."""

    def __init__(self, connection: Any, model: type[Any]) -> None:
        name = connection.ops.quote_name
        columns = hit_columns.columns(model)
        into = ", ".join(name(field.column) for field, _ in columns)
        values = ", ".join(place.sql if isinstance(place, Fixed) else "?" for _, place in columns)
        self.sql = f"INSERT INTO {name(model._meta.db_table)} ({into}) VALUES ({values})"  # noqa: S608 - names of the models
        self._pick = itemgetter(*(GIVEN.index(place) for _, place in columns if not isinstance(place, Fixed)))

    def write(self, raw: Any, given: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows."""
        if given:
            raw.executemany(self.sql, map(self._pick, given))


def _lookup(connection: Any) -> str:
    """Return the query for one carried visitor that is nobody's: when it last followed a link."""
    name = connection.ops.quote_name
    visitor: Any = Visitor._meta
    hit: Any = ReferralHit._meta
    at, who, link = (name(hit.get_field(field).column) for field in ("created_at", "visitor", "link"))
    pk, claimed = name(visitor.pk.column), name(visitor.get_field("claimed_at").column)
    return (
        f"SELECT (SELECT {at} FROM {name(hit.db_table)} WHERE {who} = known.{pk} AND {link} = %s"  # noqa: S608 - names of the models
        f" ORDER BY {at} DESC LIMIT 1) FROM {name(visitor.db_table)} AS known WHERE known.{pk} = %s AND known.{claimed} IS NULL"
    )
