from __future__ import annotations

import csv
import io
import re

import pytest
from django.test import Client

from livereferrals.dashboard import listing
from livereferrals.tracking.models import LinkOwner
from tests.dashboard import makers
from tests.factories import make_link, make_partner, make_staff

pytestmark = pytest.mark.django_db

URL = "/referrals/links/"


@pytest.fixture
def staff():
    client = Client()
    client.force_login(make_staff(username="boss"))
    return client


def page(client: Client, url: str = URL) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def identifiers(text: str) -> list[str]:
    return re.findall(r'<tr id="links-[^"]+"><td[^>]*>\s*<a [^>]*>([\w-]+)', text)


def next_url(text: str) -> str | None:
    found = re.search(r'<a class="lr-button" href="([^"]+)"[^>]*>Next rows', text)
    return found and found[1].replace("&amp;", "&")


@pytest.mark.parametrize("sort", ["link", "-link", "created", "-created"])
def test_pages_by_key_hold_every_row_once_and_in_order(staff, monkeypatch, sort):
    """dashboard.md 10: paging by cursor, no OFFSET"""
    monkeypatch.setattr(listing.Listing.table, "__kwdefaults__", {"limit": 3})
    made = {make_link(identifier=f"link-{number}").identifier for number in range(8)}
    found: list[str] = []
    url: str | None = f"{URL}?sort={sort}&q=link-"
    while url is not None:
        text = page(staff, url)
        found += identifiers(text)
        url = next_url(text)
    assert set(found) == made
    assert len(found) == len(made)
    assert found == sorted(found, reverse=sort in {"-link", "created"})


def test_address_says_sort_order_filter_and_place(staff):
    """dashboard-21: the page for the URL is the same on reload and from a colleague"""
    make_link(identifier="spring")
    make_link(identifier="summer")
    text = page(staff, f"{URL}?q=spr&sort=link")
    assert identifiers(text) == ["spring"]
    assert 'aria-sort="ascending"' in text
    assert 'value="spr"' in text
    assert 'href="/referrals/links/?sort=-link&amp;q=spr"' in text


@pytest.mark.parametrize("place", ["x", "W10", "WyIxIl0", "bnVsbA", "eyJhIjoxfQ", "WyJhIiwiYiIsImMiXQ"])
def test_place_that_is_none_means_the_first_rows(staff, place):
    """dashboard-25"""
    link = make_link(identifier="spring")
    assert link.identifier in identifiers(page(staff, f"{URL}?after={place}"))


def test_filter_that_leaves_nothing_says_so(staff):
    """dashboard-52"""
    assert "No such link" in page(staff, f"{URL}?q=nowhere")


def test_export_holds_the_rows_of_the_screen_and_defuses_formulas(staff, monkeypatch):
    """dashboard-49"""
    monkeypatch.setattr(listing, "EXPORT_ROWS", 2)
    for number in range(5):
        make_link(identifier=f"link-{number}", target="/x/")
    make_link(partner=make_partner(name="=cmd()"), identifier="evil", target="/x/")
    answer = staff.get(f"{URL}export.csv?sort=link")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="links-')
    text = b"".join(answer.streaming_content).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0][:4] == ["link", "address", "owner", "target"]
    assert [row[0] for row in rows[1:]] == identifiers(page(staff, f"{URL}?sort=link"))
    assert "'=cmd()" in {row[2] for row in rows[1:]}


def test_export_needs_its_permission():
    """dashboard-32: absent, and 403 by hand"""
    client = Client()
    client.force_login(makers.make_viewer())
    assert "export.csv" not in page(client)
    assert client.get(f"{URL}export.csv").status_code == 403
    client.force_login(makers.make_viewer("view_dashboard", "export_referrals", username="exporter"))
    assert "export.csv" in page(client)
    assert client.get(f"{URL}export.csv").status_code == 200


def test_partner_login_sees_its_own_links_alone():
    """dashboard-38"""
    user = makers.make_viewer("view_visitor", username="partner")
    own = make_partner(active=True, user=user)
    mine = make_link(partner=own, identifier="mine")
    make_link(partner=make_partner(active=True), identifier="theirs")
    make_link(identifier="house")
    client = Client()
    client.force_login(user)
    assert set(identifiers(page(client))) == {mine.identifier, own.uid}
    assert mine.owner == LinkOwner.PARTNER
