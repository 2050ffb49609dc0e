"""The long lists: filters and searches that have an index, and no count to the end."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from livereferrals.admin import listing
from livereferrals.admin.filters import days_meant
from livereferrals.callbacks.models import DeliveryState
from livereferrals.tracking.models import ReferralHit
from tests.admin.people import list_url
from tests.factories import (
    make_confirmation,
    make_delivery,
    make_event,
    make_hit,
    make_link,
    make_partner,
    make_subscription,
    make_user,
    make_visitor,
)

if TYPE_CHECKING:
    from django.db.models import Model
    from django.test import Client

pytestmark = pytest.mark.django_db


def found(staff: Client, model: str, **query: str) -> set[Any]:
    """Return the keys of the rows that a list shows."""
    page = staff.get(list_url(model), query)
    assert page.status_code == 200
    return {row.pk for row in page.context["cl"].result_list}


@pytest.fixture
def hits() -> dict[str, ReferralHit]:
    """One hit of each kind."""
    acme = make_partner(name="Acme Reviews")
    user = make_user(username="bob", email="bob@shop.example")
    return {
        "plain": make_hit(),
        "acme": make_hit(link=make_link(partner=acme, identifier="spring")),
        "old": make_hit(created_at=datetime(2026, 3, 5, 22, 30, tzinfo=UTC)),
        "claimed": make_hit(user=user),
        "confirmed": make_hit(confirmed_at=timezone.now()),
        "repeat": make_hit(repeat=True),
        "self_referral": make_hit(self_referral=True),
        "bot": make_hit(bot=True),
        "flagged": make_hit(flagged_by="office"),
        "no_consent": make_hit(no_consent=True),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"partner": "acme"}, {"acme"}),
        ({"partner": "ACME REVIEWS"}, {"acme"}),
        ({"partner": "nobody"}, set()),
        ({"link": "spring"}, {"acme"}),
        ({"link": "Spring"}, set()),
        ({"day": "2026-03-05"}, {"old"}),
        ({"day": "2026-03-06"}, set()),
        ({"day": "no day"}, set()),
        ({"claimed": "yes"}, {"claimed"}),
        ({"confirmed": "yes"}, {"confirmed"}),
        ({"flag": "repeat"}, {"repeat"}),
        ({"flag": "self_referral"}, {"self_referral"}),
        ({"flag": "bot"}, {"bot"}),
        ({"flag": "flagged"}, {"flagged"}),
        ({"flag": "no_consent"}, {"no_consent"}),
        ({"flag": "none", "claimed": "no", "confirmed": "no", "day": "7"}, {"plain", "acme"}),
        ({"partner": "acme", "flag": "bot"}, set()),
    ],
    # A set's order, and so its text, differs between processes.
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_hits_are_filtered(
    staff: Client, hits: dict[str, ReferralHit], query: dict[str, str], expected: set[str]
) -> None:
    """D-21: by partner, link, day, claimed, confirmed and flagged; days are those of the project's time zone."""
    assert found(staff, "referralhit", **query) == {hits[name].pk for name in expected}


def test_part_of_a_name_that_means_too_many_partners_asks_for_more_of_it(staff: Client) -> None:
    """D-21: instead of sorting the rows of all of them, or of some by chance."""
    hits = [make_hit(link=make_link(partner=make_partner(name=f"Blog {number}"))) for number in range(11)]
    page = staff.get(list_url("referralhit"), {"partner": "blog"})
    assert "More than 10 partners have this in their name" in page.content.decode()
    assert page.context["cl"].result_count == 0
    assert found(staff, "referralhit", partner="blog 1") == {hits[1].pk}
    assert found(staff, "referralhit", partner="og 1") == {hits[1].pk, hits[10].pk}


def test_hits_are_found_by_visitor_link_and_user(staff: Client, hits: dict[str, ReferralHit]) -> None:
    """D-21: and by their own id."""
    for text, name in {
        str(hits["acme"].pk): "acme",
        str(hits["old"].visitor_id): "old",
        "spring": "acme",
        "bob": "claimed",
        "bob@shop.example": "claimed",
    }.items():
        assert found(staff, "referralhit", q=text) == {hits[name].pk}, text
    assert found(staff, "referralhit", q="pring") == set()
    assert found(staff, "referralhit", q=str(uuid.uuid4())) == set()


@pytest.mark.parametrize("value", ["\x00", "a\x00b", "%", "'", "9" * 400])
@pytest.mark.parametrize("name", ["partner", "link", "day", "claimed", "confirmed", "flag", "trigger", "reversed"])
def test_any_value_of_a_filter_answers(staff: Client, name: str, value: str) -> None:
    """D-21: what nobody can have meant shows a page too, on every database."""
    model = "confirmation" if name in ("trigger", "reversed") else "referralhit"
    assert staff.get(list_url(model), {name: value}).status_code in {200, 302}


def test_confirmations_are_filtered_and_found(staff: Client) -> None:
    """D-21: the other lists answer in the same way."""
    plain = make_confirmation(reference="A-1", trigger="Order paid")
    back = make_confirmation(reference="A-2", trigger="Old", reversed_at=timezone.now())
    assert found(staff, "confirmation", reversed="yes") == {back.pk}
    assert found(staff, "confirmation", trigger="Old") == {back.pk}
    assert plain.partner is not None
    assert found(staff, "confirmation", partner=plain.partner.uid) == {plain.pk}
    assert found(staff, "confirmation", day="today") == {plain.pk, back.pk}
    for text in ("A-1", str(plain.pk), str(plain.hit_id), str(plain.visitor_id)):
        assert found(staff, "confirmation", q=text) == {plain.pk}, text


def test_visitors_deliveries_and_events_are_filtered_and_found(staff: Client) -> None:
    """D-21"""
    anonymous, claimed = make_visitor(legacy_id=4711), make_visitor(user=make_user(username="ann"))
    assert found(staff, "visitor", claimed="yes") == {claimed.pk}
    assert found(staff, "visitor", q="ann") == {claimed.pk}
    assert found(staff, "visitor", q="4711") == {anonymous.pk}
    assert found(staff, "visitor", q=str(anonymous.pk)) == {anonymous.pk}

    acme = make_partner(name="Acme")
    delivery = make_delivery(subscription=make_subscription(partner=acme))
    dead = make_delivery(state=DeliveryState.DEAD, finished_at=timezone.now())
    assert found(staff, "delivery", partner="acme") == {delivery.pk}
    assert found(staff, "delivery", state__exact="dead") == {dead.pk}
    assert found(staff, "delivery", q=str(delivery.confirmation_id)) == {delivery.pk}

    link = make_link(partner=acme, identifier="spring")
    event = make_event(partner=acme, link=link.pk, link_identifier="spring")
    make_event()
    assert found(staff, "event", partner="acme") == {event.pk}
    assert found(staff, "event", link="spring") == {event.pk}
    assert found(staff, "event", q="spring") == {event.pk}


def test_no_list_counts_to_the_end(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-21: the count stops early, the page says "more than", and older rows are found by filters."""
    monkeypatch.setattr(listing, "LISTED", 60)
    ReferralHit.objects.bulk_create(
        [ReferralHit(link=link, created_at=timezone.now()) for link in [make_link()] for _ in range(70)]
    )
    with CaptureQueriesContext(
        connection,
    ) as captured:
        page = staff.get(list_url("referralhit"))
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"].upper()]
    assert counts
    assert all("LIMIT 61" in sql for sql in counts)
    assert "more than 60 hits" in page.content.decode()
    assert page.context["cl"].paginator.num_pages == 2
    assert len(staff.get(list_url("referralhit"), {"p": "2"}).context["cl"].result_list) == 10
    assert staff.get(list_url("referralhit"), {"p": "3"}).status_code == 302


def test_long_lists_are_sorted_by_time_alone_and_count_nothing_beside_their_filters(staff: Client) -> None:
    """D-21: a click on a heading must not sort a million rows, nor a filter count them."""
    make_hit()
    for model in ("referralhit", "visitor", "confirmation", "delivery", "event"):
        page = staff.get(list_url(model), {"_facets": "True"}).content.decode()
        assert "Show counts" not in page
        assert not re.search(r'<th[^>]*class="[^"]*sortable', page)


@pytest.mark.parametrize("model", ["referralhit", "confirmation", "visitor", "delivery", "event"])
def test_list_takes_few_queries_however_many_rows(staff: Client, model: str) -> None:
    """D-21: what the rows show is read at once."""
    makers: dict[str, Any] = {
        "referralhit": lambda: make_hit(user=make_user()),
        "confirmation": lambda: make_confirmation(hit=make_hit(user=make_user())),
        "visitor": lambda: make_visitor(user=make_user()),
        "delivery": make_delivery,
        "event": make_event,
    }
    rows: list[Model] = [makers[model]()]
    staff.get(list_url(model))
    with CaptureQueriesContext(connection) as one:
        staff.get(list_url(model))
    rows += [makers[model]() for _ in range(5)]
    with CaptureQueriesContext(connection) as many:
        staff.get(list_url(model))
    assert len(many) == len(one)
    assert len(many) <= 12


def test_days_are_read_as_people_mean_them() -> None:
    """D-21"""
    today = datetime(2026, 11, 21, tzinfo=UTC).date()
    day = timedelta(days=1)
    assert days_meant("today", today=today) == (today, today + day)
    assert days_meant("yesterday", today=today) == (today - day, today)
    assert days_meant("7", today=today) == (today - 6 * day, today + day)
    assert days_meant("2026-03-05", today=today) == (today.replace(month=3, day=5), today.replace(month=3, day=6))
    assert days_meant("9999-12-31", today=today) is None
    assert days_meant("8", today=today) is None


@pytest.mark.parametrize("model", ["referralhit", "confirmation", "delivery"])
def test_long_list_is_joined_with_nothing_that_could_be_read_first(staff: Client, model: str) -> None:
    """D-21: with an inner join, SQLite with statistics begins at links or subscriptions, and sorts all rows of each."""
    make_confirmation(hit=make_hit())
    make_delivery()
    with CaptureQueriesContext(connection) as seen:
        staff.get(list_url(model))
    lists = [each["sql"] for each in seen.captured_queries if f'FROM "livereferrals_{model}"' in each["sql"]]
    shown = [sql for sql in lists if "ORDER BY" in sql]
    assert shown
    assert not [sql for sql in shown if " INNER JOIN " in sql]
