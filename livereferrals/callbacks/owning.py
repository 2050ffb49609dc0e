"""The endpoints of a worker, locked for a turn, with their subscription and partner: read anew only where one has changed.

A turn comes every few milliseconds, and the settings of an endpoint change once in months. So the lock tells of each row
what shows a change; rows that are known as they are stay in memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.utils import timezone

from livereferrals.callbacks.models import Endpoint, Subscription
from livereferrals.callbacks.transactions import alias
from livereferrals.events import bulk
from livereferrals.events.converting import converter
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from django.db.models import Model

MOST: Final = 1000
"""Endpoints in memory: more than a worker ever has at a time."""
TABLES: Final[Mapping[str, type[Model]]] = {"e": Endpoint, "s": Subscription, "p": Partner}
"""What an endpoint is read from, by its name in the statements."""


class Known:
    """The endpoints that a worker has seen last, as they are in the database."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[object, Endpoint]] = {}

    def forget(self) -> None:
        """Read everything anew: what is here was changed, and the change may not have been committed."""
        self._rows.clear()

    def lock(self, tokens: Mapping[int, uuid.UUID]) -> tuple[dict[int, Endpoint], datetime]:
        """Lock the endpoints that are still under these leases; return them by key, and the time of this statement.

        Those that somebody else has locked are left out: an admin form that is open in a transaction must not hold up the
        others. One query, two where something has changed.
        """
        using = alias()
        with connections[using].cursor() as cursor:
            cursor.execute(_statement(using), [bulk.keys(tokens, using=using)])
            found = cursor.fetchall()
        self._read_what_changed({key: signs for key, _, *signs in found})
        # SQLite gives no time.
        now = (found[0][1] if found else None) or timezone.now()
        owned = {key: self._rows[key][1] for key, *_ in found}
        return {key: row for key, row in owned.items() if row.lease_token == tokens[key]}, now

    def _read_what_changed(self, signs: Mapping[int, object]) -> None:
        if len(self._rows) > MOST:
            self._rows.clear()
        changed = [key for key, sign in signs.items() if key not in self._rows or self._rows[key][0] != sign]
        if changed:
            self._rows |= {row.pk: (signs[row.pk], row) for row in _read(changed)}


def _read(keys: Sequence[int]) -> list[Endpoint]:
    """Return endpoints with their subscription and partner. One query, of our own: each new lease has to read its row."""
    using = alias()
    sql, parts = _whole(using)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, [bulk.keys(keys, using=using)])
        rows = cursor.fetchall()
    found = []
    for row in rows:
        endpoint, subscription, partner = (part.instance(row, using=using) for part in parts)
        subscription.partner = partner
        endpoint.subscription = subscription
        found.append(endpoint)
    return found


class _Part:
    """The columns of one table in the rows of a join."""

    def __init__(self, model: type[Model], *, first: int, using: str) -> None:
        fields = model._meta.concrete_fields
        self.end = first + len(fields)
        self._model, self._first = model, first
        self._names = [field.attname for field in fields]
        converts = [(place, converter(field, connections[using])) for place, field in enumerate(fields)]
        self._converts = [(place, convert) for place, convert in converts if convert is not None]

    def instance(self, row: Sequence[Any], *, using: str) -> Any:
        """Return the instance whose columns are in this row."""
        values = list(row[self._first : self.end])
        for place, convert in self._converts:
            values[place] = convert(values[place])
        return self._model.from_db(using, self._names, values)


@lru_cache(maxsize=8)
def _whole(using: str) -> tuple[str, list[_Part]]:
    """Return the statement of `_read`, and what is made of its rows."""
    name = connections[using].ops.quote_name
    columns: list[str] = []
    parts = []
    for table, model in TABLES.items():
        parts.append(_Part(model, first=len(columns), using=using))
        columns += [f"{table}.{name(str(field.column))}" for field in model._meta.concrete_fields]
    one = bulk.one_of("e.subscription_id", using=using)
    return f"SELECT {', '.join(columns)} FROM {_joined(using)} WHERE {one}", parts  # noqa: S608 - names of the models


def _joined(using: str) -> str:
    name = connections[using].ops.quote_name
    e, s, p = (name(model._meta.db_table) for model in TABLES.values())
    return f"{e} e JOIN {s} s ON s.id = e.subscription_id JOIN {p} p ON p.id = s.partner_id"


@lru_cache(maxsize=8)
def _statement(using: str) -> str:
    """Return the statement: key, time, and what shows a change.

    PostgreSQL stamps each version of a row with the transaction that wrote it; on SQLite all columns are compared.
    """
    connection = connections[using]
    name, is_postgres = connection.ops.quote_name, connection.vendor == "postgresql"
    if is_postgres:
        signs = [f"{table}.xmin::text" for table in TABLES]
    else:
        signs = [
            f"{table}.{name(str(field.column))}"
            for table, model in TABLES.items()
            for field in model._meta.concrete_fields
        ]
    return f"""
        SELECT e.subscription_id, {"statement_timestamp()" if is_postgres else "NULL"}, {", ".join(signs)}
        FROM {_joined(using)}
        WHERE {bulk.one_of("e.subscription_id", using=using)} {"FOR UPDATE OF e SKIP LOCKED" if is_postgres else ""}
    """  # noqa: S608 - names of the models
