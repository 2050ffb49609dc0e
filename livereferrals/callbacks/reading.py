"""What is due at the endpoints that a worker serves, read ahead (callbacks, section 4)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.utils import timezone

from livereferrals.callbacks import clock, wanting
from livereferrals.callbacks.models import DeliveryKind
from livereferrals.callbacks.models.subscriptions import never
from livereferrals.callbacks.transactions import alias
from livereferrals.events.compiled import Compiled, adapted
from livereferrals.events.pipelines import together

if TYPE_CHECKING:
    from collections.abc import Iterable

READ_AHEAD: Final = 256
NOBODY: Final = -1
"""No endpoint has this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A delivery that is due, read ahead."""

    id: uuid.UUID
    lost: int
    is_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is ready, by endpoint, in the order of its turn."""

    due: dict[int, list[Ready]]
    """Of each endpoint that was asked for."""
    tests: dict[int, list[Ready]]
    """Of those that have any: they go before a backlog."""


def read(endpoints: Iterable[int], *, tests_of: Iterable[int] = ()) -> Found:
    """Return what is due at each endpoint, tests aside, by due time, up to 256 each, and the tests of others or the same.

    Two queries, no write.
    """
    found = Found(due={key: [] for key in endpoints}, tests={})
    waits_for_tests = list(tests_of)
    connection = connections[alias()]
    with connection.cursor() as cursor, connection.cursor() as other, together(connection):
        if found.due:
            cursor.execute(*_of_each(list(found.due), _reading(alias())))
        if waits_for_tests:
            other.execute(*_of_each(waits_for_tests, _reading_tests(alias())))
        for key, ready in _ready(cursor.fetchall() if found.due else []):
            found.due[key].append(ready)
        for key, ready in _ready(other.fetchall() if waits_for_tests else [], are_tests=True):
            found.tests.setdefault(key, []).append(ready)
    return found


def _ready(rows: Iterable[tuple[Any, int, int]], *, are_tests: bool = False) -> Iterable[tuple[int, Ready]]:
    for delivery, key, lost in rows:
        name = delivery if isinstance(delivery, uuid.UUID) else uuid.UUID(delivery)
        yield key, Ready(id=name, lost=lost, is_test=are_tests)


def _of_each(endpoints: Iterable[int], statement: Compiled) -> tuple[str, list[Any]]:
    """Return the query of all these endpoints, and its parameters.

    A union of short index scans: a window function would read every backlog whole, LATERAL is not in SQLite.
    """
    now = adapted(timezone.now(), using=alias())
    parts, given = [], []
    for key in endpoints:
        parts.append(f"SELECT * FROM ({statement.sql}) AS part{key}")  # noqa: S608 - Django's own SQL and a number
        given += statement.parameters(key=key, now=now)
    return " UNION ALL ".join(parts), given


@lru_cache(maxsize=8)
def _reading(using: str) -> Compiled:
    """Return the query of what is due at one endpoint."""
    rows = wanting.due(clock.mark(using, here=never())).exclude(kind=DeliveryKind.TEST).order_by("due_at", "id")
    return _of_one(rows, using=using)


@lru_cache(maxsize=8)
def _reading_tests(using: str) -> Compiled:
    """Return the query of the tests of one endpoint; there is an index of tests only."""
    return _of_one(wanting.tests(clock.mark(using, here=never())).order_by("id"), using=using)


def _of_one(rows: Any, *, using: str) -> Compiled:
    columns = rows.filter(subscription=NOBODY).values_list("id", "subscription_id", "lost")[:READ_AHEAD]
    return Compiled(columns, using=using, key=NOBODY, now=adapted(never(), using=using))
