"""The page of one confirmation: facts, trace, deliveries, and taking it back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from livereferrals import ids
from livereferrals.events.models import Event, EventType
from livereferrals.tracking.models import Confirmation, Reversal
from tests.dashboard.screens import browser, page, partner_browser, partner_of, row_ids, url_of
from tests.factories import home_link, make_confirmation, make_delivery, make_hit, make_link, make_partner, make_user

pytestmark = pytest.mark.django_db
DAY_S = 86_400


def traced(link: Any = None, **values: Any) -> Confirmation:
    """Make a confirmation that was decided between five hits of three partners."""
    hit = make_hit(link=link or make_link(partner=make_partner(name="Acme"), identifier="spring"))
    other = make_partner(name="Betsy", uid="betsy001")
    looked = [
        {
            "hit": str(hit.pk),
            "link": hit.link.identifier,
            "partner": partner_of(hit).uid,
            "age_s": 60,
            "verdict": "credited",
        },
        {"hit": "2", "link": "summer", "partner": other.uid, "age_s": 2 * DAY_S, "verdict": "older"},
        {"hit": "3", "link": "autumn", "partner": other.uid, "age_s": 31 * DAY_S, "verdict": "out-of-window"},
        {"hit": "4", "link": "annlink", "partner": None, "age_s": 3 * DAY_S, "verdict": "self-referral"},
        {"hit": "5", "link": "winter", "partner": "gone0000", "age_s": 4 * DAY_S, "verdict": "not-subscribed"},
    ]
    trace = {
        "v": 1,
        "rule": "last_click",
        "window_s": 30 * DAY_S,
        "subject": {"how": "request-user", "visitors": ["a", "b"]},
        "hits": looked,
        "outcome": "confirmed",
        "chosen": str(hit.pk),
        "omitted": 7,
    }
    return make_confirmation(hit=hit, trace=trace, **values)


def test_page_tells_the_winner_and_the_reason_of_each_other_hit() -> None:
    """dashboard-1, dashboard-2, dashboard-35"""
    text = page(browser(), "confirmation", traced(amount="12.50", reference="A-9").pk)
    rows = text.split('<tr id="looked-')[1:]
    assert len(rows) == 5
    assert 'data-tone="good"' in rows[0]
    assert not any('data-tone="good"' in row for row in rows[1:])
    told = [("credited", "spring", "Acme"), ("a later hit was credited", "summer", "2 days before"),
            ("outside the window of 30 days", "autumn", "31 days before"), ("followed a link of their own", "annlink"),
            ("not subscribed to this trigger", "winter", "gone0000")]  # fmt: skip
    for row, words in zip(rows, told, strict=True):
        for word in words:
            assert word in row
    for sentence in ("The last link that was followed gets the credit.", "7 more hits were looked at.",
                     "2 browsers were looked at.", "12.50\N{NO-BREAK SPACE}EUR", "A-9", 'data-cursor="'):  # fmt: skip
        assert sentence in text


def test_partner_sees_of_the_trace_its_own_hits_alone() -> None:
    """A-11, dashboard-38: no other link, partner or count, nor who took it back"""
    client, own = partner_browser(name="Mine")
    row = traced(home_link(own), amount="12.50")
    Reversal.objects.create(
        confirmation=row, reason="refund", note="secret note", amount_micros=1, created_at=row.occurred_at,
        created_by=make_user(username="colleague"), partial=True,
    )  # fmt: skip
    text = page(client, "confirmation", row.pk)
    assert row_ids(text, "looked") == ["1"]
    assert "credited" in text
    for secret in ("Betsy", "betsy001", "gone0000", "summer", "autumn", "annlink", "winter", "more hits", "browsers",
                   "secret note", "colleague", str(row.visitor_id), "Reverse</a>"):  # fmt: skip
        assert secret not in text
    assert "refund, in part" in text


def test_confirmation_without_a_trace_says_so() -> None:
    """dashboard-52: an imported one"""
    text = page(browser(), "confirmation", make_confirmation(trace={}).pk)
    assert "Nothing was recorded" in text
    assert "No deliveries" in text


def test_deliveries_are_shown_to_those_who_may_see_them() -> None:
    """dashboard-1"""
    row = make_confirmation()
    delivery = make_delivery(confirmation=row)
    other = make_delivery()
    assert row_ids(page(browser(), "confirmation", row.pk), "deliveries") == [str(delivery.pk)]
    text = page(browser("view_amounts"), "confirmation", row.pk)
    assert str(delivery.pk) not in text
    assert str(other.pk) not in text


def test_amount_is_absent_without_its_permission() -> None:
    """dashboard-39: nor on the page that asks, nor a part of it"""
    row = traced(amount="12.50")
    Reversal.objects.create(
        confirmation=row, reason="refund", amount_micros=2_250_000, created_at=row.occurred_at, partial=True
    )
    Confirmation.objects.filter(pk=row.pk).update(reversed_micros=2_250_000)
    viewer = browser("view_visitor", "view_delivery", "reverse_confirmation")
    for name in ("confirmation", "confirmation_reverse"):
        text = page(viewer, name, row.pk)
        # Not where digits go on: a time with microseconds may hold anything.
        for secret in (r"\b12\.50\b", r"\b2\.25\b", r"\b10\.25\b", "EUR", 'name="amount"'):
            assert re.search(secret, text) is None
    assert 'name="amount"' in page(browser(), "confirmation_reverse", row.pk)


def test_unknown_confirmation_is_not_there() -> None:
    """dashboard-38"""
    staff = browser()
    for name in ("confirmation", "confirmation_reverse"):
        assert staff.get(url_of(name, ids.new_uuid())).status_code == 404


def test_reversing_asks_acts_and_is_recorded() -> None:
    """dashboard-32: once; a second press says that it was done"""
    row = traced(amount="12.50", reference="A-9")
    staff = browser()
    url = url_of("confirmation_reverse", row.pk)
    assert f'href="{url}"' in page(staff, "confirmation", row.pk)
    assert "Left to reverse: 12.50\N{NO-BREAK SPACE}EUR" in page(staff, "confirmation_reverse", row.pk)
    assert not Reversal.objects.exists()
    assert staff.post(url, {}).status_code == 409
    assert (
        "There is only 12.50\N{NO-BREAK SPACE}EUR left"
        in staff.post(url, {"reason": "refund", "amount": "99"}).content.decode()
    )
    answer = staff.post(url, {"reason": "refund", "note": "called us"})
    assert (answer.status_code, answer["Location"]) == (302, url_of("confirmation", row.pk))
    reversal = Reversal.objects.get()
    assert (reversal.reason, reversal.note, reversal.partial) == ("refund", "called us", False)
    assert reversal.created_by is not None
    assert LogEntry.objects.get().user == reversal.created_by
    assert Event.objects.filter(type=EventType.REVERSAL).count() == 1
    text = page(staff, "confirmation", row.pk)
    for words in ("refund", "called us", str(reversal.created_by)):
        assert words in text
    assert f'href="{url}"' not in text
    again = staff.post(url, {"reason": "refund"})
    assert again.status_code == 409
    assert "It had been reversed before." in again.content.decode()
    assert Reversal.objects.count() == 1


def test_reversing_needs_its_permission_and_a_token() -> None:
    """dashboard-32: absent and 403 by hand; a partner's login never has it"""
    client, own = partner_browser()
    row = traced(home_link(own))
    url = url_of("confirmation_reverse", row.pk)
    for viewer in (browser("view_amounts"), client):
        assert f'href="{url}"' not in page(viewer, "confirmation", row.pk)
        assert viewer.get(url).status_code == viewer.post(url, {"reason": "refund"}).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser().cookies
    assert strict.post(url, {"reason": "refund"}).status_code == 403
    assert not Reversal.objects.exists()


def test_page_costs_a_bounded_number_of_queries(django_assert_max_num_queries: Any) -> None:
    """dashboard.md 10"""
    row = traced(amount="12.50")
    first = make_delivery(confirmation=row)
    for _ in range(4):
        make_delivery(confirmation=row, subscription=first.subscription)
    staff = browser()
    with django_assert_max_num_queries(14):
        page(staff, "confirmation", row.pk)
