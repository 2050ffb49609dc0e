"""How many statements each page and frame costs: as many as it has questions, however many rows and partners there are."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from livereferrals.dashboard import catalogue, pages, rollups
from livereferrals.dashboard.access import CODENAMES, Rights
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.viewpoints import Viewpoint
from tests.dashboard import makers
from tests.factories import make_delivery, make_link

pytestmark = pytest.mark.django_db

MOST = {
    "overview": 26,
    "live_feed": 12,
    "partners": 10,
    "links": 10,
    "hits": 8,
    "confirmations": 10,
    "deliveries": 22,
    "tokens": 10,
    "triggers": 10,
    "status": 12,
}
"""Each with the two looks at the log's place and, on SQLite, the beginning and the end of the reading."""
RIGHTS = Rights(amounts=True, codenames=frozenset(CODENAMES))


def make_some_of_everything() -> None:
    links = [make_link() for _ in range(3)]
    for link in links:
        makers.hit(link)
        makers.confirmed(link, amount="5.00", currency="EUR")
        make_delivery()
    rollups.advance()
    makers.hit(links[0])


def statements(view: str) -> list[str]:
    viewpoint = Viewpoint(view=view, filters=Filters(), rights=RIGHTS, language="en-gb", zone="UTC")
    with CaptureQueriesContext(connection) as seen:
        frame = pages.render_frame(catalogue.BY_NAME[view], viewpoint)
    assert frame.is_whole
    return [each["sql"] for each in seen.captured_queries]


@pytest.mark.parametrize("view", MOST)
def test_frame_costs_a_few_statements_whatever_there_is(view: str) -> None:
    """performance P18: the page costs the same, it is made by the same reading"""
    make_some_of_everything()
    few = statements(view)
    assert len(few) <= MOST[view], few
    for _ in range(2):
        make_some_of_everything()
    many = statements(view)
    # The live feed asks once more where more than ten events came within a second.
    assert len(many) <= (MOST[view] if view == "live_feed" else len(few)), many


def test_every_page_without_a_subject_is_counted() -> None:
    """performance P18: a new page says what it costs"""
    assert {page.name for page in catalogue.PAGES if page.tab is not None} <= MOST.keys()
