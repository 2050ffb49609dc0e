"""A batch of hits on PostgreSQL: one statement, which is one round trip and one flush.

`unnest` makes rows of arrays, and data-modifying parts of the statement fill the three tables and number the events (see
`events.direct`). The statement is prepared once for a connection, by a name of this process's own: behind a pooler that gives each statement to another session it is
then not found there, never taken for somebody else's, and goes unprepared from then on.
"""

from __future__ import annotations

import logging
import re
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from psycopg import OperationalError, errors, pq

from livereferrals import ids
from livereferrals.events import direct
from livereferrals.events.models import Event
from livereferrals.tracking import hit_columns
from livereferrals.tracking.hit_columns import Fixed
from livereferrals.tracking.hit_rows import carried_pairs, places_of, rows_of, told
from livereferrals.tracking.models import ReferralHit, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.hit_rows import HitRow, Pair

logger = logging.getLogger(__name__)

GIVEN: Final = (
    "hit", "event", "visitor", "link", "partner", "partner_uid", "link_identifier", "at", "data", "fresh", "repeat", "bot",
    "flagged_by", "no_consent", "entry_url", "user_agent", "referer", "click_id", "sub1", "sub2", "sub3", "sub4", "sub5", "ip", "device",
    "place",
)  # fmt: skip
"""The columns of what is given, in the order of `_texts`, and which event of the batch each is."""
SOURCES: Final = {Visitor: "given WHERE fresh", ReferralHit: "given", Event: "told"}
TOLD: Final = (
    "SELECT given.*, state.head + place AS seq, state.stamp FROM given LEFT JOIN state ON true"
    " WHERE NOT bot AND flagged_by = ''"
)
WANTED: Final = "SELECT max(place) FROM given"
# What a session says that does not know the prepared statement.
UNKNOWN_STATEMENT: Final = "26000"
NO_OWN_IDS: Final = ('""',) * 6
"""A hit without click id and sub-ids, as most are."""


class Statement:
    """The one statement, for one connection."""

    pace = direct.Pace()
    """Of all sessions of this process."""
    may_prepare = True
    """Whether this process still takes it that its sessions keep what they have prepared."""

    def __init__(self, connection: Any) -> None:
        self.sql = _insert(connection)
        self.name = f"livereferrals_hits_{ids.random_identifier()}".encode()
        self.is_prepared = False

    def values(self, rows: Sequence[HitRow], *, may_number: bool) -> list[bytes]:
        """Return its parameters: an array for each of `GIVEN`, as text.

        Args:
            rows: what is to be written.
            may_number: whether the transaction ends with the statement, so that it may number the events.
        """
        given = places_of(rows)
        numbers = may_number and self.pace.allows(max(given))
        places = map(str, given) if numbers else repeat("NULL", len(rows))
        columns = [*zip(*map(_texts, rows), strict=True), places]
        return [f"{{{','.join(column)}}}".encode() for column in columns]

    def give_up_preparing(self) -> None:
        """Note that a session has forgotten it."""
        logger.info("A pooler does not keep prepared statements; hits go without.", extra={"action": "hits.unprepared"})
        self.is_prepared = False
        type(self).may_prepare = False


class PostgresWriter:
    """Writes batches over one of Django's connections."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._statement = Statement(connection)
        self._lookup = _lookup(connection)
        self._prepared_on: object = None
        self.numbered: int | None = 0

    def write(self, drafts: Sequence[HitDraft], *, hits: Sequence[uuid.UUID]) -> list[HitRow]:
        """Record the drafts in one transaction and return their rows. One statement, two where a visitor is carried."""
        self._connection.ensure_connection()
        pairs = carried_pairs(drafts)
        if not pairs and not self._connection.in_atomic_block:
            rows = rows_of(drafts, hits=hits, last_follows={})
            state = self._insert(rows, may_number=True)
            self.numbered = told(rows, state)
            return rows
        with transaction.atomic(using=self._connection.alias):
            rows = rows_of(drafts, hits=hits, last_follows=self._last_follows(pairs) if pairs else {})
            self._insert(rows, may_number=False)
        self.numbered = None
        return rows

    def _last_follows(self, pairs: Sequence[Pair]) -> dict[Pair, datetime | None]:
        """Return when the carried visitors that are nobody's last followed, and lock them against a claim."""
        with self._connection.cursor() as cursor:
            cursor.execute(self._lookup, [list(each) for each in zip(*pairs, strict=True)])
            return {(visitor, link): last for visitor, link, last in cursor.fetchall()}

    def _insert(self, rows: Sequence[HitRow], *, may_number: bool) -> direct.State | None:
        values = self._statement.values(rows, may_number=may_number)
        with self._connection.wrap_database_errors:
            return state_of(self._execute(values))

    def _execute(self, values: Sequence[bytes]) -> pq.abc.PGresult:
        # libpq itself: psycopg's own way of preparing numbers its statements, and two processes behind one pooler would
        # take each other's for theirs.
        raw, statement = self._connection.connection, self._statement
        if not Statement.may_prepare:
            return check(raw.pgconn.exec_params(statement.sql, values))
        try:
            if self._prepared_on is not raw:
                check(raw.pgconn.prepare(statement.name, statement.sql))
                self._prepared_on = raw
            return check(raw.pgconn.exec_prepared(statement.name, values))
        except errors.lookup(UNKNOWN_STATEMENT):
            statement.give_up_preparing()
            raise


def state_of(result: pq.abc.PGresult) -> direct.State | None:
    """Return the log as it was before the batch, if that has numbered itself."""
    if not result.ntuples:
        return None
    values = [result.get_value(0, place) or b"" for place in range(result.nfields)]
    epoch, head, oldest, revision, house_key = (value.decode() for value in values)
    return direct.State(epoch, int(head), int(oldest), int(revision), house_key)


def check(result: pq.abc.PGresult) -> pq.abc.PGresult:
    """Return a good result; raise what the server says, as psycopg would."""
    if result.status in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
        return result
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    message = result.get_error_message()
    if state is None:
        raise OperationalError(message)  # the connection is lost
    try:
        kind = errors.lookup(state.decode())
    except KeyError:
        kind = errors.DatabaseError
    raise kind(message)


# --- what is sent ---------------------------------------------------------------------------------------------------------


def _texts(row: HitRow) -> tuple[str, ...]:
    """Return the row's elements of the arrays, in the order of `GIVEN`."""
    draft, said = row.draft, row.kept
    link, own = draft.link, said[3:9]
    return (
        row.hit.hex,
        row.event.hex,
        "NULL" if row.visitor is None else row.visitor.hex,
        link.id.hex,
        "NULL" if link.partner_id is None else str(link.partner_id),
        f'"{link.partner_uid}"',
        f'"{link.identifier}"',
        f'"{draft.now.isoformat()}"',
        _quoted(row.data),
        "t" if row.fresh else "f",
        "t" if row.repeat else "f",
        "t" if draft.bot else "f",
        _quoted(draft.flagged_by),
        "f" if draft.consent else "t",
        _quoted(said.entry_url),
        _quoted(said.user_agent),
        _quoted(said.referer),
        *(map(_quoted, own) if any(own) else NO_OWN_IDS),
        said.ip or "NULL",
        said.device,
    )


def _quoted(text: str) -> str:
    """Return an element of an array's text (PostgreSQL docs, 8.15.6)."""
    if not text:
        return '""'
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    return f'"{text}"'


# --- the statements -------------------------------------------------------------------------------------------------------


def _insert(connection: Any) -> bytes:
    """Return the statement that fills the three tables from arrays, and moves the log on if it has numbered the events."""
    types = {"fresh": "boolean", "place": "bigint"}
    for model in hit_columns.PLACES:
        for field, place in hit_columns.columns(model):
            if place in GIVEN:
                # An explicit cast to `varchar(200)` would cut without a word.
                types[place] = re.sub(r"\(\d+\)$", "", str(field.db_type(connection)))
    arrays = ", ".join(f"${number}::{types[name]}[]" for number, name in enumerate(GIVEN, start=1))
    parts = {
        f"given ({', '.join(GIVEN)})": f"SELECT * FROM unnest({arrays})",  # noqa: S608 - our own names
        "state": direct.locked(WANTED),
        "told": TOLD,
        **{f"part{number}": _part(connection, model) for number, model in enumerate(hit_columns.PLACES)},
        "forward": direct.forward("state", WANTED),
    }
    whole = ", ".join(f"{name} AS ({part})" for name, part in parts.items())
    return f"WITH {whole} SELECT {', '.join(direct.STATE)} FROM state".encode()  # noqa: S608 - our own names


def _part(connection: Any, model: type[Any]) -> str:
    name = connection.ops.quote_name
    columns = hit_columns.columns(model)
    into = ", ".join(name(field.column) for field, _ in columns)
    values = ", ".join(place.sql if isinstance(place, Fixed) else place for _, place in columns)
    return f"INSERT INTO {name(model._meta.db_table)} ({into}) SELECT {values} FROM {SOURCES[model]}"  # noqa: S608 - names of the models


def _lookup(connection: Any) -> str:
    """Return the query for carried visitors: locked in one order, so that two batches never wait for each other."""
    name = connection.ops.quote_name
    visitor: Any = Visitor._meta
    hit: Any = ReferralHit._meta
    columns = {field: name(hit.get_field(field).column) for field in ("visitor", "link", "created_at")}
    last = (
        f"SELECT {columns['created_at']} FROM {name(hit.db_table)} WHERE {columns['visitor']} = asked.visitor"  # noqa: S608 - names of the models
        f" AND {columns['link']} = asked.link ORDER BY {columns['created_at']} DESC LIMIT 1"
    )
    pk, claimed = name(visitor.pk.column), name(visitor.get_field("claimed_at").column)
    return (
        f"SELECT asked.visitor, asked.link, ({last}) FROM unnest(%s::uuid[], %s::uuid[]) AS asked(visitor, link)"  # noqa: S608 - names of the models
        f" JOIN {name(visitor.db_table)} AS known ON known.{pk} = asked.visitor WHERE known.{claimed} IS NULL"
        f" ORDER BY asked.visitor FOR NO KEY UPDATE OF known"
    )
