"""The page of one visitor."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from livereferrals import ids
from livereferrals.dashboard import visitor as page_of_a_visitor
from tests.dashboard.screens import browser, page, partner_browser, row_ids, url_of
from tests.factories import home_link, make_confirmation, make_hit, make_user, make_visitor

pytestmark = pytest.mark.django_db


def test_page_tells_hits_claim_and_confirmations_in_order(django_assert_max_num_queries: Any) -> None:
    """dashboard-1, dashboard-2"""
    now = timezone.now()
    visitor = make_visitor(user=make_user(username="bob"), claimed_at=now - timedelta(hours=2))
    first = make_hit(visitor=visitor, created_at=now - timedelta(hours=3))
    last = make_hit(visitor=visitor, created_at=now - timedelta(hours=1))
    confirmation = make_confirmation(hit=last, occurred_at=now, amount="12.50", reference="A-1")
    staff = browser()
    with django_assert_max_num_queries(13):
        text = page(staff, "visitor", visitor.pk)
    places = [text.index(f'<tr id="{name}"') for name in
              (f"hit-{first.pk}", f"claim-{visitor.pk}", f"hit-{last.pk}", f"confirmation-{confirmation.pk}")]  # fmt: skip
    assert places == sorted(places)
    for words in ("Tied to bob", "Order paid · A-1", "12.50\N{NO-BREAK SPACE}EUR", 'data-cursor="'):
        assert words in text


def test_amounts_are_absent_without_their_permission() -> None:
    """dashboard-39"""
    confirmation = make_confirmation(amount="12.50")
    text = page(browser("view_visitor"), "visitor", confirmation.visitor_id)
    assert "12.50" not in text
    assert "EUR" not in text
    assert "Amount" not in text


def test_page_needs_the_right_to_see_people() -> None:
    """dashboard.md 5: `view_visitor`; a partner's login never has it"""
    client, own = partner_browser()
    hit = make_hit(link=home_link(own), user=make_user(username="bob"))
    for viewer in (browser("view_amounts"), client):
        answer = viewer.get(url_of("visitor", hit.visitor_id))
        assert answer.status_code == 403
        assert b"bob" not in answer.content


def test_visitor_that_is_not_there_is_404_and_one_without_rows_says_so() -> None:
    """dashboard-52"""
    staff = browser()
    assert staff.get(url_of("visitor", ids.new_uuid())).status_code == 404
    text = page(staff, "visitor", make_visitor().pk)
    assert "Nothing is kept of this visitor" in text
    assert "not claimed" in text


def test_long_history_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """dashboard.md 10: no page grows without bound"""
    monkeypatch.setattr(page_of_a_visitor, "MOST", 2)
    visitor = make_visitor()
    link = make_hit(visitor=visitor).link
    newest = [make_hit(visitor=visitor, link=link) for _ in range(2)]
    text = page(browser(), "visitor", visitor.pk)
    assert row_ids(text, "hit") == [str(hit.pk) for hit in newest]
    assert f'href="{url_of("hits")}?q={visitor.pk}"' in text
