"""How the databases read the long lists: every sort order and filter by an index, so that they stay fast when they grow."""

from __future__ import annotations

from copy import copy
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from livereferrals import ids
from livereferrals.dashboard import confirmations, deliveries, hits, links, partners
from livereferrals.dashboard.access import CODENAMES, Rights
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.viewpoints import Viewpoint
from livereferrals.tracking.models import ReferralLink
from tests.factories import home_link, make_confirmation, make_hit, make_partner

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.django_db

Row = TypeVar("Row", bound=Model)

CASES: dict[str, tuple[ModuleType, str, str]] = {
    "hits": (hits, "", "lr_hit_created"),
    "hits-oldest": (hits, "sort=-time", "lr_hit_created"),
    "hits-partner": (hits, "partner={uid}", "lr_hit_partner"),
    "hits-link": (hits, "link={uid}", "lr_hit_link"),
    "hits-device": (hits, "device=tablet", "lr_hit_device"),
    "hits-day": (hits, "day=2026-05-01", "lr_hit_created"),
    "hits-repeat": (hits, "mark=repeat", "lr_hit_repeat"),
    "hits-self-referral": (hits, "mark=self_referral", "lr_hit_self_referral"),
    "hits-bot": (hits, "mark=bot", "lr_hit_bot"),
    "hits-flagged": (hits, "mark=flagged_by", "lr_hit_flagged"),
    "hits-no-consent": (hits, "mark=no_consent", "lr_hit_no_consent"),
    "hits-claimed": (hits, "mark=claimed", "lr_hit_claimed"),
    "hits-confirmed": (hits, "mark=confirmed", "lr_hit_confirmed"),
    "confirmations": (confirmations, "", "lr_confirmation_occurred"),
    "confirmations-oldest": (confirmations, "sort=-time", "lr_confirmation_occurred"),
    "confirmations-partner": (confirmations, "partner={uid}", "lr_confirmation_partner"),
    "confirmations-trigger": (confirmations, "trigger=Order+paid", "lr_confirmation_trigger"),
    "confirmations-reversed": (confirmations, "state=reversed", "lr_confirmation_reversed"),
    "confirmations-in-part": (confirmations, "state=part", "lr_confirmation_in_part"),
    "confirmations-day": (confirmations, "day=2026-05-01", "lr_confirmation_occurred"),
    "links": (links, "", ""),
    "links-oldest": (links, "sort=-created", ""),
    "links-by-name": (links, "sort=link", ""),
    "links-house": (links, "owner=house", "lr_link_owner"),
    "partners": (partners, "", "lr_partner_name"),
    "partners-newest": (partners, "sort=created", "lr_partner_created"),
}
"""The list, what is chosen, and the index that it is read by; empty where the database named it."""
OFF = ("seqscan", "bitmapscan", "sort", "hashjoin", "mergejoin")
"""What PostgreSQL would rather do with a few hundred rows."""
OTHERS = 400
"""Rows that are not looked for: among a handful every index costs the same, and PostgreSQL may take any."""

STAFF = Rights(amounts=True, codenames=frozenset(CODENAMES))


def statement(module: ModuleType, query: str, *, rights: Rights = STAFF) -> str:
    """Return the statement that reads the rows of the list."""
    page = module.PAGE
    viewpoint = Viewpoint(
        view=page.name,
        filters=Filters.parse(query, page.fields)[0],
        rights=rights,
        language="en",
        zone="UTC",
    )
    with CaptureQueriesContext(connection) as seen:
        page.read(viewpoint)
    (found,) = (each["sql"] for each in seen.captured_queries if " LIMIT 51" in each["sql"])
    return str(found)


def plan(sql: str) -> list[str]:
    """Return the steps of the database's plan."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in OFF:
                cursor.execute(f"SET LOCAL enable_{name} = off")
        explain = "EXPLAIN" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
        cursor.execute(f"{explain} {sql.replace('%', '%%')}")
        return [str(row[-1]).strip() for row in cursor.fetchall()]


def is_slow(step: str, table: str) -> bool:
    """Whether a step reads all rows of the table without an index, or sorts all that it has found.

    Sorting rows of one moment among themselves is no sorting of all.
    """
    if connection.vendor == "postgresql":
        return f"Seq Scan on {table}" in step or step.removeprefix("->").strip().startswith("Sort  (")
    return step == f"SCAN {table}" or step == "USE TEMP B-TREE FOR ORDER BY"


@pytest.fixture(autouse=True)
def _others() -> None:
    """Let PostgreSQL know of rows that no filter here means."""
    if connection.vendor != "postgresql":
        return
    partner = make_partner()
    confirmation = make_confirmation(hit=make_hit(link=home_link(partner)), trigger="Another")
    rows: list[Model] = [home_link(partner), confirmation.hit, confirmation]
    for row in rows:
        type(row)._default_manager.bulk_create([another(row, number) for number in range(OTHERS)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE livereferrals_referrallink, livereferrals_referralhit, livereferrals_confirmation")


def another(row: Row, number: int) -> Row:
    """Return a row like this one but older, not saved."""
    found = copy(row)
    found._state = copy(row._state)
    found._state.adding = True
    found.pk = ids.new_uuid()
    for name in {"created_at", "occurred_at"} & {field.name for field in row._meta.concrete_fields}:
        setattr(found, name, timezone.now() - timedelta(hours=number))
    if isinstance(found, ReferralLink):
        found.identifier, found.home = ids.random_identifier(), False
    return found


@pytest.mark.parametrize("case", CASES)
def test_list_is_read_by_an_index(case: str) -> None:
    """dashboard.md 10: an index for each sort order and filter"""
    partner = make_partner()
    make_confirmation(hit=make_hit(link=home_link(partner)))
    module, query, index = CASES[case]
    steps = plan(statement(module, query.format(uid=partner.uid)))
    table = module.LISTING.rows(_nobody(), None).model._meta.db_table
    assert not [step for step in steps if is_slow(step, table)], steps
    assert any(index in step for step in steps), steps


@pytest.mark.parametrize(
    ("module", "index"),
    [(hits, "lr_hit_partner"), (confirmations, "lr_confirmation_partner")],
    ids=["hits", "confirmations"],
)
def test_login_of_a_partner_reads_its_own_rows_alone(module: ModuleType, index: str) -> None:
    """dashboard.md 10, dashboard-38: by the partner's index, without a join that would read everybody's"""
    partner = make_partner()
    make_confirmation(hit=make_hit(link=home_link(partner)))
    sql = statement(module, "", rights=Rights(amounts=True, partners=frozenset({partner.uid})))
    assert 'partner_id" IN (' in sql
    assert any(index in step for step in plan(sql))


@pytest.mark.parametrize("module", [hits, confirmations, deliveries], ids=["hits", "confirmations", "deliveries"])
def test_long_list_is_joined_with_nothing_that_could_be_read_first(module: ModuleType) -> None:
    """dashboard.md 10: with an inner join, SQLite with statistics began at the links: 10 s with five million hits"""
    assert " INNER JOIN " not in statement(module, "")


def _nobody() -> Viewpoint:
    return Viewpoint(filters=Filters(), rights=Rights(amounts=False), language="en", zone="UTC")
