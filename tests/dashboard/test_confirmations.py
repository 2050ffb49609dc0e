"""The list of confirmations, and the newest ones on the overview."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from livereferrals.events import wire
from tests.dashboard import makers
from tests.dashboard.screens import browser, exported, page, partner_browser, partner_of, row_ids, url_of
from tests.factories import home_link, make_confirmation, make_hit, make_link, make_partner, make_user

pytestmark = pytest.mark.django_db


def test_list_is_filtered_by_each_of_its_filters() -> None:
    """dashboard-1, dashboard-21: by partner, trigger, state, day, reference and id; a bad value is left out."""
    acme = make_partner(name="Acme Reviews")
    made = {
        "plain": make_confirmation(amount="12.50"),
        "acme": make_confirmation(hit=make_hit(link=home_link(acme)), reference="A-9"),
        "signup": make_confirmation(trigger="User registered"),
        "old": make_confirmation(occurred_at=datetime(2026, 3, 5, 22, 30, tzinfo=UTC)),
        "reversed": make_confirmation(amount="1", reversed_at=timezone.now(), reversed_micros=1_000_000),
        "part": make_confirmation(amount="2", reversed_micros=1_000_000),
    }
    names = {str(row.pk): name for name, row in made.items()}
    staff = browser()

    def listed(**query: str) -> set[str]:
        return {names[pk] for pk in row_ids(page(staff, "confirmations", **query), "confirmations")}

    assert listed() == listed(state="purple") == set(made)
    assert listed(partner="Acme") == listed(partner=acme.uid) == listed(q="A-9") == {"acme"}
    assert listed(q=str(made["acme"].pk)) == listed(q=str(made["acme"].hit_id)) == {"acme"}
    assert listed(trigger="User registered") == {"signup"}
    assert listed(day="2026-03-05") == {"old"}
    assert listed(state="reversed") == {"reversed"}
    assert listed(state="part") == {"part"}
    assert listed(state="standing") == set(made) - {"reversed", "part"}
    assert listed(q="nothing") == set()
    text = page(staff, "confirmations")
    for words in ("12.50\N{NO-BREAK SPACE}EUR", "reversed in part", 'data-cursor="'):
        assert words in text


def test_empty_list_says_so() -> None:
    """dashboard-52"""
    assert "No confirmations yet" in page(browser(), "confirmations")
    assert "No such confirmation" in page(browser(), "confirmations", q="A-1")


def test_amounts_and_people_are_absent_without_their_permissions() -> None:
    """dashboard-39: neither on the screen nor in the export"""
    row = make_confirmation(amount="12.50", hit=make_hit(user=make_user(username="bob")))
    viewer = browser("export_referrals")
    for found in (page(viewer, "confirmations"), page(viewer, "overview"), str(exported(viewer, "confirmations"))):
        for secret in ("12.50", "EUR", "bob", str(row.visitor_id)):
            assert secret not in found
        assert "Order paid" in found


def test_login_of_a_partner_sees_its_own_confirmations_alone() -> None:
    """dashboard-38: with amounts, and people as in the feed"""
    client, own = partner_browser(name="Mine")
    user = make_user(username="bob")
    mine = make_confirmation(hit=make_hit(link=home_link(own), user=user), amount="12.50", reference="A-1")
    foreign = make_confirmation(
        hit=make_hit(link=make_link(partner=make_partner(name="Foreign Company"), identifier="theirs")), reference="F-1"
    )
    for text in (page(client, "confirmations"), page(client, "overview")):
        assert row_ids(text, "confirmations") == [str(mine.pk)]
        assert "12.50\N{NO-BREAK SPACE}EUR" in text
        for secret in ("Foreign", "theirs", "F-1", "bob", str(mine.visitor_id)):
            assert secret not in text
    assert wire.user_hash(str(user.pk), key=own.user_key) in page(client, "confirmations")
    assert row_ids(page(client, "confirmations", q=str(foreign.pk)), "confirmations") == []
    assert client.get(url_of("confirmation", foreign.pk)).status_code == 404
    (row,) = exported(client, "confirmations")
    assert (row["reference"], row["user"]) == ("A-1", wire.user_hash(str(user.pk), key=own.user_key))
    assert str(mine.visitor_id) not in str(row)


def test_export_equals_the_list() -> None:
    """dashboard-49"""
    row = make_confirmation(amount="1250", currency="JPY", reference="=A1")
    make_confirmation(trigger="User registered")
    (found,) = exported(browser(), "confirmations", trigger="Order paid")
    assert (found["trigger"], found["reference"], found["amount"]) == ("Order paid", "'=A1", "1250 JPY")
    assert (found["partner"], found["link"]) == (partner_of(row).name, row.hit.link.identifier)


def test_overview_shows_the_newest_ten_and_leads_to_leaders() -> None:
    """dashboard-1: newest first, each with its page"""
    made = [make_confirmation() for _ in range(12)]
    makers.hit(made[0].hit.link)
    text = page(browser(), "overview")
    assert row_ids(text, "confirmations") == [str(row.pk) for row in reversed(made)][:10]
    assert f'href="{url_of("confirmation", made[-1].pk)}"' in text
    assert f'href="{url_of("link", made[0].hit.link_id)}"' in text
    assert f'href="{url_of("partner", partner_of(made[0]).uid)}"' in text


def test_list_costs_the_same_for_more_confirmations(django_assert_max_num_queries: Any) -> None:
    """dashboard.md 10"""
    for _ in range(15):
        make_confirmation(hit=make_hit(user=make_user()))
    staff = browser()
    with django_assert_max_num_queries(12):
        page(staff, "confirmations")
