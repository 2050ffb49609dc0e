"""Links in the admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from livereferrals.tracking.models import LinkOwner, ReferralLink
from tests.factories import home_link, make_link, make_partner, make_staff

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

ADD = "admin:livereferrals_referrallink_add"
EMPTY = {
    "name": "",
    "target": "",
    "notes": "",
    "starts_at_0": "",
    "starts_at_1": "",
    "expires_at_0": "",
    "expires_at_1": "",
}


def change_url(link: ReferralLink) -> str:
    return reverse("admin:livereferrals_referrallink_change", args=[link.pk])


def add(staff: Client, **values: object) -> tuple[ReferralLink | None, str]:
    """Add a link; return it, or `None` and the page with the messages."""
    before = set(ReferralLink.objects.values_list("pk", flat=True))
    page = staff.post(reverse(ADD), {**EMPTY, **values}, follow=True).content.decode()
    return ReferralLink.objects.exclude(pk__in=before).first(), page


def test_house_partner_and_user_links_can_be_made(staff: Client) -> None:
    """D-05: nobody's, a partner's and a user's; X-21: no user is required."""
    partner, user = make_partner(), make_staff()
    house, _ = add(staff, identifier="house1", partner="", user="")
    partners, _ = add(staff, identifier="spring", partner=partner.pk, user="")
    users, _ = add(staff, identifier="ann1", partner="", user=user.pk)
    assert house is not None
    assert partners is not None
    assert users is not None
    assert [house.owner, partners.owner, users.owner] == [LinkOwner.HOUSE, LinkOwner.PARTNER, LinkOwner.USER]


@pytest.mark.parametrize("identifier", ["has space", "a/b", "", "x" * 51, "a?b", "a%b"])
def test_identifier_that_the_address_cannot_carry_is_a_message_at_the_field(staff: Client, identifier: str) -> None:
    """D-05, X-20: a bad character is refused where it was typed."""
    link, page = add(staff, identifier=identifier, partner="", user="")
    assert link is None
    assert "errorlist" in page


def test_taken_identifier_is_a_message_at_the_field(staff: Client) -> None:
    """D-05: a second link of one name."""
    make_link(identifier="abc123")
    link, page = add(staff, identifier="abc123", partner="", user="")
    assert link is None
    assert "already exists" in page


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "javascript:alert(1)", "foo", "/x\n/y"])
def test_target_that_a_visitor_could_not_name_is_refused(staff: Client, target: str) -> None:
    """D-05, L-04: a link's own target is checked like `next`."""
    link, page = add(staff, identifier="abc123", partner="", user="", target=target)
    assert link is None
    assert "errorlist" in page


def test_target_on_this_site_is_kept(staff: Client) -> None:
    """D-05, L-04: an ordinary path is fine."""
    link, _ = add(staff, identifier="abc123", partner="", user="", target="/spring-sale/?a=1#top")
    assert link is not None
    assert link.target == "/spring-sale/?a=1#top"


def test_link_ends_after_it_starts(staff: Client) -> None:
    """D-05: an end before the start is a message at the field."""
    times = {"starts_at_0": "2026-02-01", "starts_at_1": "00:00", "expires_at_0": "2026-01-01", "expires_at_1": "00:00"}
    link, page = add(staff, identifier="abc123", partner="", user="", **times)
    assert link is None
    assert "The end must be after the start." in page


def test_home_link_keeps_its_identifier(staff: Client) -> None:
    """L-08: the partner's uid always leads somewhere, so its home link is not renamed."""
    link = home_link(make_partner())
    staff.post(change_url(link), {**EMPTY, "identifier": "renamed", "name": "still home"})
    before = link.identifier
    link.refresh_from_db()
    assert link.identifier == before
    assert link.name == "still home"


def test_home_link_keeps_its_identifier_on_the_partners_page_too(staff: Client) -> None:
    """L-08: whichever page it is edited on."""
    link = home_link(make_partner())
    data = {"name": "Acme", "active": "on", "notes": ""}
    data |= {f"subscriptions-{field}": "0" for field in ("TOTAL_FORMS", "INITIAL_FORMS")}
    data |= {"links-TOTAL_FORMS": "1", "links-INITIAL_FORMS": "1", "links-0-id": str(link.pk)}
    data |= {"links-0-partner": str(link.partner_id), "links-0-identifier": "renamed", "links-0-name": "Home"}
    data["links-0-target"] = "/spring/"
    response = staff.post(reverse("admin:livereferrals_partner_change", args=[link.partner_id]), data)
    assert response.status_code == 302
    identifier = link.identifier
    link.refresh_from_db()
    assert (link.identifier, link.target) == (identifier, "/spring/")


def test_link_can_be_disabled_and_shows_its_address(staff: Client) -> None:
    """D-05: one tick; the page has a copy button."""
    link = make_link(identifier="abc123")
    assert 'data-lr-copy="/ref/abc123"' in staff.get(change_url(link)).content.decode()
    staff.post(change_url(link), {**EMPTY, "identifier": "abc123", "disabled": "on"})
    link.refresh_from_db()
    assert link.disabled
