"""The list of links and the page of one: numbers, sharing, trying without a hit."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client

from livereferrals.tracking.models import ReferralHit, Visitor
from tests.dashboard import makers
from tests.dashboard.screens import browser, exported, page, partner_browser, row_ids, url_of
from tests.factories import home_link, make_hit, make_link, make_partner, make_user

pytestmark = pytest.mark.django_db


def test_list_shows_each_link_with_its_own_numbers() -> None:
    """dashboard-1, dashboard-2"""
    link, house = make_link(identifier="spring"), make_link(owner="house", identifier="home-page")
    makers.hit(link)
    makers.hit(link, repeat=True)
    makers.confirmed(link, amount="12", currency="JPY")
    text = page(browser(), "links", q="spring")
    found = makers.metrics(text)
    assert [found[f"{name}-{link.pk}"] for name in ("hits", "visitors", "confirmations")] == ["2", "1", "1"]
    assert "12\N{NO-BREAK SPACE}JPY" in text
    assert 'data-copy="/ref/spring"' in text
    assert row_ids(page(browser(), "links", owner="house"), "links") == [str(house.pk)]


def test_list_names_no_user_and_no_amount_without_the_rights() -> None:
    """dashboard-39: without `view_visitor` a user's link is a user's"""
    link = make_link(user=make_user(username="bob"), identifier="spring")
    makers.confirmed(link, amount="12", currency="JPY")
    text = page(browser("view_dashboard"), "links")
    assert "JPY" not in text
    assert "bob" not in text
    assert ">bob\n" in page(browser("view_visitor"), "links")


def test_page_of_a_link_tells_where_it_leads_and_its_last_hits() -> None:
    """dashboard-1, dashboard-2"""
    link = make_link(identifier="spring", target="/sale/")
    makers.hit(link)
    made = [make_hit(link=link) for _ in range(22)]
    text = page(browser(), "link", link.pk)
    found = makers.metrics(text)
    assert (found["hits"], found["visitors"], found["confirmations"]) == ("1", "1", "0")
    assert "claims" not in found
    assert row_ids(text, "hits") == [str(hit.pk) for hit in reversed(made)][:20]
    for words in ("<code>/sale/</code>", 'data-copy="/ref/spring"', f'src="{url_of("link_picture", link.pk)}"'):
        assert words in text
    assert 'data-cursor="' in text


def test_link_that_counts_nothing_says_why() -> None:
    """L-21"""
    link = make_link(disabled=True)
    assert "counts nothing: the link is disabled" in page(browser(), "link", link.pk)


def test_link_without_hits_says_what_comes_next() -> None:
    """dashboard-52"""
    text = page(browser(), "link", make_link().pk)
    assert "No hits yet" in text
    assert makers.metrics(text)["hits"] == "0"


def test_trying_a_link_leads_on_and_counts_nothing() -> None:
    """dashboard.md 2: a test address that does not count"""
    link = make_link(target="/sale/?ref=spring")
    staff = browser()
    answer = staff.get(url_of("link_trial", link.pk))
    assert (answer.status_code, answer["Location"]) == (302, "/sale/")
    assert not ReferralHit.objects.exists()
    assert not Visitor.objects.exists()
    assert "livereferrals" not in str(answer.cookies)


def test_trying_never_leads_off_the_site() -> None:
    """L-41"""
    link = make_link(target="https://evil.example/")
    assert browser().get(url_of("link_trial", link.pk))["Location"] == "/"


def test_picture_is_an_image_of_the_address() -> None:
    """D-07"""
    link = make_link(identifier="spring")
    answer = browser().get(url_of("link_picture", link.pk))
    assert answer["Content-Type"] == "image/svg+xml"
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    root = ET.fromstring(answer.content)  # noqa: S314 - our own
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "spring"


def test_login_of_a_partner_sees_its_own_links_alone() -> None:
    """dashboard-38: page, picture and trial of a foreign link are 404"""
    client, own = partner_browser(name="Mine")
    makers.hit(home_link(own))
    foreign = make_link(partner=make_partner(name="Foreign Company"), identifier="theirs")
    house = make_link(owner="house")
    assert row_ids(page(client, "links"), "links") == [str(home_link(own).pk)]
    assert makers.metrics(page(client, "link", home_link(own).pk))["hits"] == "1"
    assert client.get(url_of("link_picture", home_link(own).pk)).status_code == 200
    for link in (foreign, house):
        for name in ("link", "link_picture", "link_trial"):
            answer = client.get(url_of(name, link.pk))
            assert answer.status_code == 404, name
            assert b"Foreign" not in answer.content


@pytest.mark.parametrize("name", ["link", "link_picture", "link_trial"])
def test_strangers_are_sent_to_the_login(name: str) -> None:
    """dashboard.md 5"""
    url = url_of(name, make_link().pk)
    assert Client().get(url).status_code == 302
    nobody = Client()
    nobody.force_login(make_user())
    assert nobody.get(url).status_code == 403


def test_export_equals_the_list() -> None:
    """dashboard-49"""
    link = make_link(identifier="spring", target="=1+1")
    makers.hit(link)
    (row,) = exported(browser(), "links", q="spring")
    assert (row["link"], row["address"], row["target"], row["hits"]) == ("spring", "/ref/spring", "'=1+1", "1")


def test_list_costs_the_same_for_more_links(django_assert_max_num_queries: Any) -> None:
    """dashboard.md 10"""
    for _ in range(15):
        makers.hit(make_link())
    staff = browser()
    with django_assert_max_num_queries(14):
        page(staff, "links")


def test_search_is_by_the_beginning_as_it_is_written() -> None:
    """dashboard-25: wildcards of SQL are letters like others"""
    for identifier in ("spring", "spring_2", "springX2", "Spring"):
        make_link(identifier=identifier, owner="house")
    staff = browser()

    def listed(text: str) -> list[str]:
        return [row["link"] for row in exported(staff, "links", q=text, sort="link", owner="house")]

    assert set(listed("spring")) == {"spring", "springX2", "spring_2"}
    assert listed("spring_") == ["spring_2"]
    assert listed("%") == listed("pring") == []
