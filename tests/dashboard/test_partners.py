"""The list of partners and the page of one: numbers, narrowing, what is absent without rights."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from livereferrals.streaming import tokens
from tests.dashboard import makers
from tests.dashboard.screens import browser, exported, page, partner_browser, row_ids, url_of
from tests.factories import home_link, make_delivery, make_link, make_partner, make_subscription

if TYPE_CHECKING:
    from livereferrals.tracking.models import Partner

pytestmark = pytest.mark.django_db


def busy_partner(**values: Any) -> Partner:
    """Make a partner with two hits, one a repeat, a claim, two confirmations, and one of them taken back in part."""
    partner = make_partner(**values)
    link = home_link(partner)
    makers.hit(link)
    makers.hit(link, repeat=True)
    makers.claim(link)
    makers.confirmed(link, amount="10", currency="EUR")
    makers.reversed_(makers.confirmed(link, amount="90.50", currency="USD"), amount="40.50", partial=True)
    return partner


def test_list_shows_each_partner_with_its_own_numbers() -> None:
    """dashboard-1, dashboard-2: equal to what happened, in the chosen range alone."""
    partner, other = busy_partner(name="Acme"), make_partner(name="Quiet", active=False)
    makers.hit(home_link(other), at=timezone.now() - timedelta(days=3))
    text = page(browser(), "partners")
    assert row_ids(text, "partners") == [partner.uid, other.uid]
    found = makers.metrics(text)
    assert [found[f"{name}-{partner.uid}"] for name in ("hits", "visitors", "confirmations")] == ["2", "1", "2"]
    assert found[f"hits-{other.uid}"] == "0"
    assert "10.00\N{NO-BREAK SPACE}EUR, 50.00\N{NO-BREAK SPACE}USD" in text
    assert "200.0%" in text
    assert "not active" in text
    assert 'data-cursor="' in text
    assert makers.metrics(page(browser(), "partners", range="7d"))[f"hits-{other.uid}"] == "1"


def test_list_is_searched_filtered_and_sorted() -> None:
    """dashboard-21, dashboard-25: by name, uid and state; a value that is none is left out."""
    first, second = make_partner(name="Acme"), make_partner(name="Betsy", active=False)
    staff = browser()

    def listed(**query: str) -> list[str]:
        return row_ids(page(staff, "partners", **query), "partners")

    both = [first.uid, second.uid]
    assert listed(q="acm") == listed(q=first.uid) == listed(state="active") == both[:1]
    assert listed(state="inactive") == both[1:]
    assert listed(sort="-partner") == listed(sort="created") == both[::-1]
    assert listed(state="purple") == listed(sort="-created") == both
    assert "No such partner" in page(staff, "partners", q="nobody")


def test_page_of_a_partner_tells_all_about_it() -> None:
    """dashboard-1, dashboard-2: counters, funnel, links, subscriptions, deliveries, tokens, activity."""
    partner = busy_partner(name="Acme")
    subscription = make_subscription(partner=partner, trigger="Order paid")
    make_delivery(subscription=subscription)
    tokens.issue(partner=partner, name="Warehouse")
    spring = make_link(partner=partner, identifier="spring")
    text = page(browser(), "partner", partner.uid)
    found = makers.metrics(text)
    wanted = {"hits": "2", "visitors": "1", "claims": "1", "confirmations": "2"}
    assert wanted.items() <= found.items()
    assert (found["amount-EUR"], found["amount-USD"], found["rate"]) == ("10.00", "50.00", "2.000000")
    assert f'data-copy="/ref/{partner.uid}"' in text
    assert f'data-copy="/ref/{spring.identifier}"' in text
    assert f'href="{url_of("link", spring.pk)}"' in text
    for words in ("From hits to confirmations", "Warehouse", "POST https://partner.example/callback", "in service"):
        assert words in text
    assert len(makers.rows_of(text)) == 6
    assert 'data-cursor="' in text


def test_page_of_a_partner_without_anything_says_what_comes_next() -> None:
    """dashboard-52"""
    text = page(browser(), "partner", make_partner().uid)
    for words in ("No subscriptions", "No feed tokens", "Nothing has happened yet"):
        assert words in text
    assert makers.metrics(text)["hits"] == "0"


def test_partner_without_its_first_link_has_a_page() -> None:
    """dashboard-52: a bulk insert gives none"""
    partner = make_partner()
    partner.links.all().delete()
    assert "No links" in page(browser(), "partner", partner.uid)


def test_empty_database_says_so() -> None:
    """dashboard-52"""
    assert "No partners yet" in page(browser(), "partners")


def test_parts_without_their_permission_are_absent(django_assert_max_num_queries: Any) -> None:
    """dashboard-39: no amount in any byte; nor subscriptions, deliveries, tokens, nor their queries."""
    partner = busy_partner(name="Acme")
    make_delivery(subscription=make_subscription(partner=partner))
    tokens.issue(partner=partner, name="Warehouse")
    viewer = browser("view_visitor")
    with django_assert_max_num_queries(24):
        text = page(viewer, "partner", partner.uid)
    for secret in ("EUR", "USD", "10.00", "50.00", "Warehouse", "partner.example", "in service"):
        assert secret not in text
    assert "EUR" not in page(viewer, "partners")
    rows = exported(browser("export_referrals"), "partners")
    assert "amount" not in rows[0]
    assert "EUR" not in str(rows)


def test_login_of_a_partner_sees_its_own_alone() -> None:
    """dashboard-38: no foreign name in any byte; a foreign uid is 404."""
    client, own = partner_browser(name="Mine")
    foreign = busy_partner(name="Foreign Company")
    makers.hit(home_link(own))
    text = page(client, "partners")
    assert row_ids(text, "partners") == [own.uid]
    assert "Foreign" not in text
    assert makers.metrics(page(client, "partner", own.uid))["hits"] == "1"
    answer = client.get(url_of("partner", foreign.uid))
    assert answer.status_code == 404
    assert b"Foreign" not in answer.content
    assert row_ids(page(client, "partners", q="Foreign"), "partners") == []
    assert [row["partner"] for row in exported(client, "partners")] == ["Mine"]
    assert "No feed tokens" in page(client, "partner", own.uid)


def test_unknown_partner_is_not_there() -> None:
    """dashboard-38"""
    assert browser().get(url_of("partner", "nobody12")).status_code == 404


def test_export_equals_the_list() -> None:
    """dashboard-49: raw numbers, with the filters of the screen; formulas defused."""
    partner = busy_partner(name="=Acme()")
    make_partner(name="Quiet", active=False)
    (row,) = exported(browser(), "partners", state="active")
    assert (row["partner"], row["uid"], row["state"]) == ("'=Acme()", partner.uid, "active")
    assert (row["hits"], row["visitors"], row["confirmations"], row["rate"]) == ("2", "1", "2", "2.000000")
    assert row["amount"] == "10.00 EUR 50.00 USD"


def test_list_costs_the_same_for_more_partners(django_assert_max_num_queries: Any) -> None:
    """dashboard.md 10: one query for the numbers of a page of them"""
    for _ in range(20):
        makers.hit(home_link(make_partner()))
    staff = browser()
    with django_assert_max_num_queries(14):
        page(staff, "partners")
