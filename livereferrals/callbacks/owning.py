"""The endpoints of a worker, locked for a turn, with their subscription and partner: read anew only where one has changed.

A turn comes every few milliseconds, and the settings of an endpoint change once in months. So the lock tells of each row
what shows a change; rows that are known as they are stay in memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.db import connections
from django.utils import timezone

from livereferrals.callbacks.leasing import alias
from livereferrals.callbacks.models import Endpoint, Subscription
from livereferrals.events import bulk
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

MOST: Final = 1000
"""Endpoints in memory: more than a worker ever has at a time."""


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
            rows = Endpoint.objects.using(alias()).filter(pk__in=changed).select_related("subscription__partner")
            self._rows |= {row.pk: (signs[row.pk], row) for row in rows}


@lru_cache(maxsize=8)
def _statement(using: str) -> str:
    """Return the statement: key, time, and what shows a change.

    PostgreSQL stamps each version of a row with the transaction that wrote it; on SQLite all columns are compared.
    """
    connection = connections[using]
    name, is_postgres = connection.ops.quote_name, connection.vendor == "postgresql"
    tables = {"e": Endpoint, "s": Subscription, "p": Partner}
    if is_postgres:
        signs = [f"{table}.xmin::text" for table in tables]
    else:
        signs = [
            f"{table}.{name(str(field.column))}"
            for table, model in tables.items()
            for field in model._meta.concrete_fields
        ]
    e, s, p = (name(model._meta.db_table) for model in tables.values())
    return f"""
        SELECT e.subscription_id, {"statement_timestamp()" if is_postgres else "NULL"}, {", ".join(signs)}
        FROM {e} e JOIN {s} s ON s.id = e.subscription_id JOIN {p} p ON p.id = s.partner_id
        WHERE {bulk.one_of("e.subscription_id", using=using)} {"FOR UPDATE OF e SKIP LOCKED" if is_postgres else ""}
    """  # noqa: S608 - names of the models
