"""One region that fails: the others go on, the page says so, the log has it, and the next reading mends it."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.db import DatabaseError, connection
from django.test import Client

from livereferrals.dashboard import catalogue, failures, pages, viewpoints
from livereferrals.dashboard.access import CODENAMES, Rights
from tests.dashboard import breaking, house, makers
from tests.dashboard.screens import url_of
from tests.dashboard.sockets import Browser
from tests.factories import make_link, make_staff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.dashboard.pages import Page
    from livereferrals.dashboard.viewpoints import Viewpoint

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
ABOUT = {"partner", "link", "visitor", "confirmation", "delivery", "endpoint"}
WITHOUT_STATEMENTS = {"chart", "cursor", "feed_notes", "funnel", "link", "visitor"}
"""Told from what has been read for another region, or for the page itself."""


@pytest.fixture(autouse=True)
def fresh_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has failed before."""
    monkeypatch.setattr(pages, "journal", failures.Journal())


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(make_staff())
    return client


def viewpoint_on(page: Page, subject: str) -> Viewpoint:
    rights = Rights(amounts=True, codenames=frozenset(CODENAMES))
    return viewpoints.viewpoint_of(f"subject={subject}&language=en-gb&zone=UTC", page=page, rights=rights)


def each_page(settings: Any) -> Iterator[tuple[Page, str]]:
    """Give every page with what it is about; one house for all of them, which takes longer than to look at it."""
    found = house.build(settings)
    for page in catalogue.PAGES:
        yield page, str(found.own.subject(page.name)) if page.name in ABOUT else ""


@pytest.mark.no_cover  # looks at the stack for each statement, which coverage makes seven times as slow
def test_region_whose_statement_fails_leaves_the_others_alone(
    staff: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """dashboard-53: on the page and in the frame, for each region of the catalogue; the next ones are whole again"""
    for page, subject in each_page(settings):
        viewpoint = viewpoint_on(page, subject)
        before = pages.render_frame(page, viewpoint)
        for region in set(page.regions) - WITHOUT_STATEMENTS:
            caplog.clear()
            with breaking.statements_of(page, region) as broken:
                answer = staff.get(url_of(page.name, subject))
                frame = pages.render_frame(page, viewpoint)
            place = f"{page.name}, {region}"
            assert broken.statements, place
            assert answer.status_code == 200, place
            told = breaking.failed_regions(answer.content.decode())
            assert told.keys() == {region}, place
            changed = {name for name, text in frame.regions.items() if text != before.regions[name]}
            assert changed - WITHOUT_STATEMENTS == {region}, place
            assert breaking.failed_regions(frame.regions[region]) == told, place
            assert (frame.is_whole, frame.period, frame.cursor) == (False, "", before.cursor), place
            assert [(each.region, each.reference) for each in logged(caplog)] == [(region, told[region])], place
            assert logged(caplog)[0].exc_info is not None
        assert breaking.failed_regions(staff.get(url_of(page.name, subject)).content.decode()) == {}
        assert pages.render_frame(page, viewpoint).is_whole


@pytest.mark.no_cover  # as above
def test_page_whose_own_subject_cannot_be_read_keeps_its_shell(
    staff: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """dashboard-53: told of once, in the page and in the frame, with a way to try again; the next reading is whole"""
    for page, subject in each_page(settings):
        viewpoint = viewpoint_on(page, subject)
        if len(page.regions) == 2:
            continue
        caplog.clear()
        monkey = dataclasses.replace(page, read=broken_read)
        text = "".join(pages.render_regions(monkey, pages.read_page(monkey, viewpoint), oob=False)[1].values())
        frame = pages.render_frame(monkey, viewpoint)
        assert "This page could not be read" in text, page.name
        (told,) = breaking.failed_regions(text).items()
        assert told[0] == page.regions[0]
        assert [(each.region, each.reference) for each in logged(caplog)] == [("page", told[1])], page.name
        assert (frame.is_whole, frame.period) == (False, "")
        assert all(f'id="{name}"' in frame.regions[name] for name in page.regions), page.name
        assert pages.render_frame(page, viewpoint).is_whole


def broken_read(viewpoint: Viewpoint) -> pages.State:
    """Fail before any region is read, as the query for a page's subject may."""
    with pages.one_moment(viewpoint), connection.cursor() as cursor:
        cursor.execute(breaking.NOWHERE)
    raise AssertionError


@pytest.mark.parametrize("name", ["link", "partner", "confirmation", "visitor"])
def test_answer_of_a_page_without_its_subject_is_a_page(staff: Client, settings: Any, name: str) -> None:
    """dashboard-53: over HTTP, with title and tabs"""
    found = house.build(settings)
    subject = str(found.own.subject(name))
    with breaking.subject_of(catalogue.BY_NAME[name]) as broken:
        answer = staff.get(url_of(name, subject))
    assert broken.statements
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "This page could not be read" in text
    assert "Try again" in text
    assert 'class="lr-tabs"' in text
    assert "This page could not be read" not in staff.get(url_of(name, subject)).content.decode()


def test_two_failed_regions_are_told_apart(staff: Client) -> None:
    """dashboard-53"""
    page = catalogue.BY_NAME["overview"]
    with breaking.statements_of(page, "leaders"), breaking.statements_of(page, "events"):
        text = staff.get(url_of("overview")).content.decode()
    assert "Who brings most: this part could not be read" in text
    assert "The latest events: this part could not be read" in text


@pytest.mark.once
def test_every_region_has_a_name_for_people() -> None:
    """dashboard-53"""
    regions = {name for page in catalogue.PAGES for name in page.regions if name != pages.CURSOR}
    assert regions == set(failures.PARTS)


@pytest.mark.once
@pytest.mark.django_db
def test_region_that_cannot_be_drawn_leaves_the_others_alone(
    staff: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """dashboard-53: a host's own partial with a mistake in it"""
    for page, subject in each_page(settings):
        for region in page.regions[:-1]:
            caplog.clear()
            with breaking.template_of(settings, region):
                answer = staff.get(url_of(page.name, subject), headers={"HX-Request": "true"})
            place = f"{page.name}, {region}"
            assert answer.status_code == 200, place
            assert breaking.failed_regions(answer.content.decode()).keys() == {region}, place
            assert [each.region for each in logged(caplog)] == [region], place


def test_several_regions_may_fail_at_once(staff: Client) -> None:
    """dashboard-53"""
    with (
        breaking.statements_of(catalogue.BY_NAME["overview"], "leaders"),
        breaking.statements_of(catalogue.BY_NAME["overview"], "events"),
    ):
        text = staff.get(url_of("overview")).content.decode()
    assert breaking.failed_regions(text).keys() == {"leaders", "events"}
    assert makers.metrics(text)["hits"] == "0"


def test_same_trouble_is_logged_once_a_minute_under_one_reference(caplog: pytest.LogCaptureFixture) -> None:
    """dashboard-53: frames try again every second"""
    journal = failures.Journal()
    first = journal.note(page="overview", region="chart", error=DatabaseError("gone"))
    assert journal.note(page="overview", region="chart", error=DatabaseError("gone")) == first
    assert journal.note(page="overview", region="events", error=DatabaseError("gone")) != first
    assert [each.region for each in logged(caplog)] == ["chart", "events"]


def test_poll_of_a_page_with_a_failed_region_is_answered(staff: Client) -> None:
    """dashboard-53, dashboard-18: nothing has happened, and yet there is something to mend"""
    with breaking.statements_of(catalogue.BY_NAME["overview"], "latest"):
        text = staff.get(url_of("overview")).content.decode()
    place = {"fragment": "1", "cursor": makers.cursor_of(text), "period": ""}
    answer = staff.get(url_of("overview"), place)
    assert answer.status_code == 200
    assert breaking.failed_regions(text).keys() == {"latest"}
    assert breaking.failed_regions(answer.content.decode()) == {}
    place["period"] = makers.period_of(answer.content.decode())
    assert staff.get(url_of("overview"), place).status_code == 204


async def test_frame_with_a_failed_region_is_followed_by_a_whole_one(staff: Client) -> None:
    """dashboard-53: by itself, without an event"""
    link = await in_db(make_link)()
    await in_db(makers.hit)(link)
    page = catalogue.BY_NAME["overview"]
    text = (await in_db(_get_broken)(staff, page)).content.decode()
    assert breaking.failed_regions(text).keys() == {"latest"}
    async with Browser(staff, cursor=makers.cursor_of(text), period="") as browser:
        frame = await browser.frame()
        assert '<section id="latest"' in frame
        assert breaking.failed_regions(frame) == {}
        assert await browser.is_quiet()


def _get_broken(client: Client, page: Page) -> Any:
    with breaking.statements_of(page, "latest"):
        return client.get(url_of(page.name))


def logged(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Return what was logged of regions that failed."""
    return [
        each
        for each in caplog.records
        if each.levelno == logging.ERROR and getattr(each, "action", "") == "region.failed"
    ]
