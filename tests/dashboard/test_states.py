"""Every region of every page in each of its states: empty, at work, cut off; what failed is in `test_failures`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from django.test import Client

from livereferrals.dashboard import catalogue, pages, viewpoints
from livereferrals.dashboard.access import CODENAMES, Rights
from tests.dashboard.screens import url_of
from tests.factories import make_confirmation, make_delivery, make_hit, make_partner, make_staff, make_subscription

pytestmark = [pytest.mark.django_db, pytest.mark.once]

STYLES: Final = Path(__file__).parents[2] / "frontend/dashboard/src"
ABSENT_WHEN_EMPTY: Final = {"delivery_needs", "feed_notes"}
"""What needs somebody, and what is left out of a list: nothing is said where there is nothing to say."""
CASES: Final = [
    pytest.param(page, region, id=f"{page.name}-{region}") for page in catalogue.PAGES for region in page.regions[:-1]
]


@pytest.fixture
def subjects() -> dict[str, object]:
    """Something of each kind that nothing has happened to."""
    confirmation = make_confirmation(hit=make_hit(link=make_partner().links.get()))
    subscription = make_subscription(partner=confirmation.partner, callback_url="https://partner.example/callback")
    return {
        "partner": make_partner().uid,
        "link": make_partner().links.get().pk,
        "visitor": confirmation.visitor_id,
        "confirmation": confirmation.pk,
        "delivery": make_delivery(subscription=subscription).pk,
        "endpoint": subscription.uid,
    }


def frame_of(page: pages.Page, subject: object) -> dict[str, str]:
    rights = Rights(amounts=True, codenames=frozenset(CODENAMES))
    place = f"subject={subject}&language=en-gb&zone=UTC"
    return dict(pages.render_frame(page, viewpoints.viewpoint_of(place, page=page, rights=rights)).regions)


def words(markup: str) -> str:
    """Return what somebody reads of it."""
    return re.sub(r"<[^>]+>|\s+", " ", markup).strip()


def test_no_region_is_a_blank_where_nothing_has_happened() -> None:
    """dashboard-52: of every page that an empty database has; each list says what would be here"""
    for page in catalogue.PAGES:
        if page.name in {"partner", "link", "visitor", "confirmation", "delivery", "endpoint"}:
            continue
        for region, markup in frame_of(page, "").items():
            said = f"{page.name}, {region}"
            assert "<tbody>\n</tbody>" not in markup, said
            if region not in ABSENT_WHEN_EMPTY and region != pages.CURSOR:
                assert words(markup), said
            if region in {"list", "latest", "events", "leaders", "delivery_endpoints"}:
                assert re.search(r'class="lr-empty"', markup), said


def test_no_region_of_a_subject_is_a_blank(subjects: dict[str, object]) -> None:
    """dashboard-52: a partner, a link, a visitor to whom nothing has happened"""
    for name, subject in subjects.items():
        for region, markup in frame_of(catalogue.BY_NAME[name], subject).items():
            if region not in ABSENT_WHEN_EMPTY and region != pages.CURSOR:
                assert words(markup), f"{name}, {region}"
                assert "<tbody>\n</tbody>" not in markup, f"{name}, {region}"


def test_every_region_can_be_dimmed_while_an_answer_is_awaited(subjects: dict[str, object]) -> None:
    """dashboard.md 7: loading is shown in each region, by one rule, after 300 ms; the region keeps its size"""
    for page in catalogue.PAGES:
        for region, markup in frame_of(page, subjects.get(page.name, "")).items():
            assert re.match(rf'\s*<\w+ id="{region}"[^>]* data-filter="', markup), f"{page.name}, {region}"
    rule = re.search(
        r"\.lr-page:has\(\.htmx-request\) \[data-filter\] \{(.*?)\}", (STYLES / "page.css").read_text(), re.S
    )
    assert rule is not None
    assert "opacity" in rule[1]
    assert "0.3s" in rule[1]


def test_every_page_can_say_that_it_is_cut_off(subjects: dict[str, object]) -> None:
    """dashboard.md 7: each has the line of the connection, and the word that its numbers are not current"""
    client = Client()
    client.force_login(make_staff())
    for page in catalogue.PAGES:
        text = client.get(url_of(page.name, subjects.get(page.name, ""))).content.decode()
        assert 'data-text-offline="Not live since {time}"' in text, page.name
        assert '<p class="lr-stale" hidden>' in text, page.name
        assert text.index('class="lr-stale"') < text.index(f'id="{page.regions[0]}"'), page.name


@pytest.mark.parametrize(("page", "region"), CASES)
def test_every_region_has_a_place_on_its_page(page: pages.Page, region: str) -> None:
    """dashboard.md 1: each stands in the page's template once, ready made"""
    template = (Path(pages.__file__).parents[1] / f"templates/livereferrals/dashboard/{page.template}").read_text()
    assert template.count(f"{{{{ regions.{region} }}}}") == 1
