"""The queries of a worker do not grow with the table: their plans, with tens of thousands of waiting rows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.db.models.sql import Query
from django.test.utils import CaptureQueriesContext

from livereferrals.callbacks import leasing, reading, wanting
from livereferrals.callbacks.models import Delivery
from livereferrals.callbacks.owning import Known
from tests.callbacks.running import owe, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.callbacks.models import Subscription

pytestmark = pytest.mark.django_db

ROWS = 100_000 if "LIVEREFERRALS_SOAK" in os.environ else 30_000
TABLE = Delivery._meta.db_table


def pile_up(subscription: Subscription) -> None:
    """Copy one delivery so often that only the database's own loop is fast enough."""
    first = owe(subscription)
    columns = [field.column for field in Delivery._meta.concrete_fields if field.name not in ("id", "event")]
    named = ", ".join(f'"{column}"' for column in columns)
    identity = {
        "postgresql": "gen_random_uuid(), gen_random_uuid()",
        "sqlite": "lower(hex(randomblob(16))), lower(hex(randomblob(16)))",
    }[connection.vendor]
    key = first.pk if connection.vendor == "postgresql" else first.pk.hex
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (id, event, {named}) SELECT {identity}, {named} FROM {TABLE},"  # noqa: S608 - our own names
            " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s) SELECT i FROM n) AS times"
            f" WHERE {TABLE}.id = %s",
            [ROWS, key],
        )
        cursor.execute("ANALYZE")


@pytest.fixture
def subscription() -> Subscription:
    """One endpoint with everything, beside fifty with little: the planner has to know them apart."""
    crowded = subscribe("http://127.0.0.1:8080/hook")
    pile_up(crowded)
    for number in range(50):
        owe(subscribe(f"http://127.0.0.1:8080/{number}"))
    assert Delivery.objects.count() > ROWS
    return crowded


def plans_of(act: Callable[[], Any]) -> list[str]:
    """Return the plan of each query that reads deliveries."""
    with CaptureQueriesContext(connection) as captured:
        act()
    explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    plans = []
    with connection.cursor() as cursor:
        for query in captured.captured_queries:
            sql = query["sql"]
            if TABLE in sql and sql.lstrip("( ").startswith(("SELECT", "UPDATE")):
                cursor.execute(f"{explain} {sql}")
                plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return plans


def scans(plan: str) -> bool:
    """Whether the plan reads the table whole."""
    lines = [line for line in plan.splitlines() if TABLE in line]
    return any(f"Seq Scan on {TABLE}" in line or line.startswith(f"SCAN {TABLE}") for line in lines)


def test_no_query_of_a_round_reads_the_table_whole(subscription: Subscription) -> None:
    """callback-F36: with nearly all rows waiting for one endpoint."""
    acts: dict[str, tuple[Callable[[], Any], int]] = {
        "look": (wanting.is_anything_waiting, 1),
        "read": (lambda: reading.read([subscription.pk]), 1),
        "read tests": (lambda: reading.read([], tests_of=[subscription.pk]), 1),
        "lease": (lambda: leasing.lease(worker="w", limit=32), 2 if connection.vendor == "postgresql" else 3),
    }
    for name, (act, queries) in acts.items():
        plans = plans_of(act)
        assert len(plans) == queries, (name, plans)
        for plan in plans:
            assert not scans(plan), f"{name}: {plan}"


def test_scan_of_the_table_is_seen_as_one() -> None:
    """callback-F36: the test above would fail for a query that reads it whole."""
    (plan,) = plans_of(lambda: list(Delivery.objects.filter(last_outcome="nothing")))
    assert scans(plan), plan


def test_look_puts_no_query_together_that_it_has_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """P17: a worker looks up to fifty times a second, and Django takes longer to put such a query together than to ask it."""
    made: list[Query] = []
    get_compiler = Query.get_compiler

    def noted(query: Query, *args: Any, **kwargs: Any) -> Any:
        made.append(query)
        return get_compiler(query, *args, **kwargs)

    monkeypatch.setattr(Query, "get_compiler", noted)
    for number in range(3):
        owe(subscribe(f"http://127.0.0.1:8080/{number}"))
        made.clear()
        (held,) = leasing.lease(worker="w", limit=32).leases
        assert len(reading.read([held.endpoint], tests_of=[held.endpoint]).due[held.endpoint]) == 1
        Known().lock({held.endpoint: held.token})
        leasing.release({held.endpoint: held.token})
        assert made == [] or not number, [str(query) for query in made]
        Delivery.objects.all().delete()
