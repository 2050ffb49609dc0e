"""What is due at the endpoints that a worker serves, read ahead (callbacks, section 4)."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.db import connections
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils import timezone

from livereferrals.callbacks import clock, wanting
from livereferrals.callbacks.models import DeliveryKind
from livereferrals.callbacks.models.subscriptions import never
from livereferrals.callbacks.transactions import alias
from livereferrals.events import bulk
from livereferrals.events.compiled import Compiled, adapted
from livereferrals.events.pipelines import together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet

    from livereferrals.callbacks.models import Delivery

READ_AHEAD: Final = 256
PARTS: Final = 200
"""Of one union: SQLite takes 500 at most."""
NOBODY: Final = -1
"""No endpoint has this key."""
KEYS: Final = "keys"
"""Stands for many of them."""


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
    """Return what is due at each endpoint, tests aside, by due time, up to 256 each, and the tests that wait at `tests_of`.

    Two queries, no write; one more for each 200 endpoints.
    """
    found = Found(due={key: [] for key in endpoints}, tests={})
    keys, waiting = list(found.due), list(tests_of)
    asked = [_due_at(keys[first : first + PARTS]) for first in range(0, len(keys), PARTS)]
    if waiting:
        asked.append(_tests_at(waiting))
    answers = _together(asked)
    if waiting:
        for key, ready in _ready(answers.pop(), are_tests=True):
            found.tests.setdefault(key, []).append(ready)
    for rows in answers:
        for key, ready in _ready(rows):
            found.due[key].append(ready)
    return found


def _together(asked: list[tuple[str, list[Any]]]) -> list[list[tuple[Any, int, int]]]:
    """Return the rows of each query."""
    connection = connections[alias()]
    with contextlib.ExitStack() as stack:
        cursors = [stack.enter_context(connection.cursor()) for _ in asked]
        stack.enter_context(together(connection))
        for cursor, (sql, parameters) in zip(cursors, asked, strict=True):
            cursor.execute(sql, parameters)
        return [cursor.fetchall() for cursor in cursors]


def _ready(rows: Iterable[tuple[Any, int, int]], *, are_tests: bool = False) -> Iterable[tuple[int, Ready]]:
    for delivery, key, lost in rows:
        name = delivery if isinstance(delivery, uuid.UUID) else uuid.UUID(delivery)
        yield key, Ready(id=name, lost=lost, is_test=are_tests)


def _due_at(endpoints: Iterable[int]) -> tuple[str, list[Any]]:
    """Return the query of what is due at all these endpoints, and its parameters.

    A union of short index scans: a window function would read every backlog whole, LATERAL is not in SQLite.
    """
    statement = _reading(alias())
    now = adapted(timezone.now(), using=alias())
    parts, given = [], []
    for key in endpoints:
        parts.append(f"SELECT * FROM ({statement.sql}) AS part{key}")  # noqa: S608 - Django's own SQL and a number
        given += statement.parameters(key=key, now=now)
    return " UNION ALL ".join(parts), given


def _tests_at(endpoints: Iterable[int]) -> tuple[str, list[Any]]:
    """Return the query of the tests of all these endpoints, and its parameters; there is an index of tests only."""
    statement = _reading_tests(alias())
    now = adapted(timezone.now(), using=alias())
    return statement.sql, statement.parameters(keys=bulk.keys(endpoints, using=alias()), now=now)


@lru_cache(maxsize=8)
def _reading(using: str) -> Compiled:
    """Return the query of what is due at one endpoint."""
    rows = wanting.due(clock.mark(using, here=never())).exclude(kind=DeliveryKind.TEST)
    return _compiled(rows.filter(subscription=NOBODY).order_by("due_at", "id"), using=using, key=NOBODY)


@lru_cache(maxsize=8)
def _reading_tests(using: str) -> Compiled:
    """Return the query of the tests of many endpoints."""
    at_these = RawSQL(bulk.one_of("subscription_id", using=using), [KEYS], output_field=BooleanField())  # noqa: S611 - names of our own
    rows = wanting.tests(clock.mark(using, here=never())).filter(at_these)
    return _compiled(rows.order_by("id"), using=using, keys=KEYS)


def _compiled(rows: QuerySet[Delivery], *, using: str, **marks: Any) -> Compiled:
    if not isinstance(clock.mark(using, here=never()), Now):
        marks["now"] = adapted(never(), using=using)
    return Compiled(rows.values_list("id", "subscription_id", "lost")[:READ_AHEAD], using=using, **marks)
