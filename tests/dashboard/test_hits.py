"""The list of hits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from livereferrals.events import wire
from tests.dashboard.screens import browser, exported, page, partner_browser, partner_of, row_ids
from tests.factories import home_link, make_hit, make_link, make_partner, make_user

pytestmark = pytest.mark.django_db


def test_list_is_filtered_by_each_of_its_filters() -> None:
    """dashboard-1, dashboard-21: by partner, link, device, day, mark and id; a value that is none is left out."""
    acme = make_partner(name="Acme Reviews")
    made = {
        "plain": make_hit(),
        "acme": make_hit(link=make_link(partner=acme, identifier="spring"), device="tablet"),
        "old": make_hit(created_at=datetime(2026, 3, 5, 22, 30, tzinfo=UTC)),
        "claimed": make_hit(user=make_user()),
        "confirmed": make_hit(confirmed_at=timezone.now()),
        "repeat": make_hit(repeat=True),
        "self_referral": make_hit(self_referral=True),
        "bot": make_hit(bot=True),
        "flagged_by": make_hit(flagged_by="office"),
        "no_consent": make_hit(no_consent=True),
    }
    names = {str(hit.pk): name for name, hit in made.items()}
    staff = browser()

    def listed(**query: str) -> set[str]:
        return {names[pk] for pk in row_ids(page(staff, "hits", **query), "hits")}

    assert listed() == listed(mark="purple") == set(made)
    assert listed(partner="Acme") == listed(partner=acme.uid) == listed(link="spring") == {"acme"}
    assert listed(device="tablet") == listed(q=str(made["acme"].pk)) == {"acme"}
    assert listed(q=str(made["old"].visitor_id)) == listed(day="2026-03-05") == {"old"}
    for mark in ("claimed", "confirmed", "repeat", "self_referral", "bot", "flagged_by", "no_consent"):
        assert listed(mark=mark) == {mark}
    assert listed(day="2026-13-77") == listed(q="x") == listed(partner="nobody") == listed(link="Spring") == set()


def test_state_says_why_a_hit_counts_less() -> None:
    """dashboard-1: in words"""
    make_hit(repeat=True, bot=True)
    make_hit(repeat=True, flagged_by="office")
    text = page(browser(), "hits")
    assert "repeat, bot" in text
    assert "repeat, flagged by office" in text


def test_empty_list_says_what_comes_next() -> None:
    """dashboard-52"""
    text = page(browser(), "hits")
    assert "No hits yet" in text
    assert "Choose a link to share" in text


def test_people_are_named_for_those_who_may_see_them_alone() -> None:
    """dashboard.md 5: else the visitor's short form and the name that the partner knows"""
    user = make_user(username="bob")
    hit = make_hit(user=user)
    opaque = wire.user_hash(str(user.pk), key=partner_of(hit).user_key)
    assert hit.visitor_id is not None
    whole, short = str(hit.visitor_id), f"\N{HORIZONTAL ELLIPSIS}{hit.visitor_id.hex[-8:]}"
    text = page(browser("view_visitor"), "hits")
    assert f"/visitors/{whole}/" in text
    assert ">bob\n" in text
    text = page(browser("view_amounts"), "hits")
    assert whole not in text
    assert "bob" not in text
    assert short in text
    assert opaque in text


def test_login_of_a_partner_sees_its_own_hits_alone_and_nobody_by_name() -> None:
    """dashboard-38"""
    client, own = partner_browser(name="Mine")
    user = make_user(username="bob")
    mine = make_hit(link=home_link(own), user=user)
    make_hit(link=make_link(partner=make_partner(name="Foreign Company"), identifier="theirs"))
    make_hit(link=make_link(owner="house", identifier="houselink"))
    text = page(client, "hits")
    assert row_ids(text, "hits") == [str(mine.pk)]
    for secret in ("Foreign", "theirs", "houselink", "bob", str(mine.visitor_id)):
        assert secret not in text
    assert wire.user_hash(str(user.pk), key=own.user_key) in text
    assert [row["link"] for row in exported(client, "hits")] == [own.uid]
    for query in ({"partner": "Foreign Company"}, {"link": "theirs"}):
        assert row_ids(page(client, "hits", **query), "hits") == []


def test_export_equals_the_list() -> None:
    """dashboard-49"""
    hit = make_hit(
        referer="https://blog.example/x?y", entry_url="/pricing/?q=1", device="mobile", user=make_user(username="=bob")
    )
    (row,) = exported(browser(), "hits", device="mobile")
    assert (row["link"], row["partner"], row["landing"]) == (hit.link.identifier, partner_of(hit).name, "/pricing/")
    assert (row["referrer"], row["device"], row["visitor"]) == ("blog.example", "mobile", str(hit.visitor_id))
    assert row["user"] == "'=bob"
    assert row["time"].endswith("Z")
    (row,) = exported(browser("export_referrals"), "hits")
    assert str(hit.visitor_id) not in str(row)


def test_list_costs_the_same_for_more_hits(django_assert_max_num_queries: Any) -> None:
    """dashboard.md 10"""
    for _ in range(15):
        make_hit(user=make_user())
    staff = browser()
    with django_assert_max_num_queries(12):
        page(staff, "hits")
