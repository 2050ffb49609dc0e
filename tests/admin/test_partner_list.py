"""The list of partners: how each is doing, in few queries."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from livereferrals.admin import standing
from livereferrals.callbacks.models import DeliveryState
from livereferrals.tracking.models import Partner, ReferralLink
from tests.admin.people import list_url
from tests.dashboard import makers as happened
from tests.factories import (
    home_link,
    make_delivery,
    make_link,
    make_partner,
    make_subscription,
)

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db

MOST_QUERIES = 12


def test_list_of_a_thousand_partners_takes_few_queries(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """D-04: at most 12, whatever the number of partners."""
    partners = Partner.objects.bulk_create([Partner(name=f"Partner {number:04}") for number in range(1000)])
    ReferralLink.objects.bulk_create(
        [ReferralLink(partner=partner, owner="partner", identifier=partner.uid, home=True) for partner in partners]
    )
    for partner in partners[:3]:
        happened.hit(partner.links.get())
    with django_assert_max_num_queries(MOST_QUERIES):
        page = staff.get(list_url("partner"))
    assert b"1000 partners" in page.content


def test_row_shows_hits_and_confirmations_of_thirty_days_and_what_fails(staff: Client) -> None:
    """D-04: what is older, reversed or still new does not count."""
    partner = make_partner(name="Acme")
    link, now = home_link(partner), timezone.now()
    for _ in range(6):
        happened.hit(link)
    happened.hit(link, at=now - timedelta(days=31))
    for _ in range(4):
        happened.confirmed(link)
    happened.reversed_(happened.confirmed(link))
    happened.confirmed(link, at=now - timedelta(days=31))
    subscription = make_subscription(partner=partner)
    make_delivery(subscription=subscription, attempts=2)
    make_delivery(subscription=subscription)
    make_delivery(subscription=subscription, state=DeliveryState.DEAD, attempts=5, finished_at=now)

    found = standing.of_partners([partner])[partner.pk]
    assert found == standing.Standing(hits=6, confirmations=4, retrying=1, given_up=1)
    page = staff.get(list_url("partner")).content.decode()
    assert '<td class="field-hits">6</td>' in page
    assert '<td class="field-confirmations">4</td>' in page
    assert "1 being retried, 1 given up" in page


def test_other_partners_numbers_stay_with_them() -> None:
    """D-04"""
    busy, idle = make_partner(), make_partner()
    happened.hit(home_link(busy))
    found = standing.of_partners([busy, idle])
    assert (found[busy.pk].hits, found[idle.pk]) == (1, standing.Standing())


@pytest.mark.parametrize("query", ["cme", "uid", "spring"])
def test_partner_is_found_by_name_uid_and_link(staff: Client, query: str) -> None:
    """D-04: a part of it is enough."""
    partner, other = make_partner(name="Acme"), make_partner(name="Umbrella")
    make_link(partner=partner, identifier="spring-sale")
    page = staff.get(list_url("partner"), {"q": partner.uid if query == "uid" else query}).content.decode()
    assert partner.uid in page
    assert other.uid not in page


def test_list_filters_by_active(staff: Client) -> None:
    """D-04"""
    on, off = make_partner(name="Acme"), make_partner(name="Umbrella", active=False)
    page = staff.get(list_url("partner"), {"active__exact": "0"}).content.decode()
    assert off.uid in page
    assert on.uid not in page
