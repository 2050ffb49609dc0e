"""Deleting in the admin: said what goes, offered to switch off, refused where something must stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import ProtectedError

from livereferrals.admin.partners import PartnerAdmin
from livereferrals.callbacks.models import Delivery
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Visitor
from tests.admin.people import act_url, browser_of, change_url, colleague
from tests.factories import (
    home_link,
    make_confirmation,
    make_delivery,
    make_hit,
    make_link,
    make_partner,
    make_staff,
    make_subscription,
)

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db


def test_partner_with_hits_is_deleted_only_after_the_page_has_said_what_goes(staff: Client) -> None:
    """D-06: links, hits and subscriptions are counted; the visitors stay."""
    partner = make_partner(name="Acme")
    make_hit(link=home_link(partner))
    make_hit(link=make_link(partner=partner))
    make_subscription(partner=partner)
    page = staff.get(act_url(partner, "delete")).content.decode()
    assert "<li>Links: 2</li>" in page
    assert "<li>Hits: 2</li>" in page
    assert "<li>Subscriptions: 1</li>" in page
    assert "Deactivate it" in page
    assert Partner.objects.exists()

    staff.post(act_url(partner, "delete"), {"post": "yes"})
    assert not Partner.objects.exists()
    assert not ReferralHit.objects.exists()
    assert Visitor.objects.count() == 2


def test_instead_of_deleting_a_partner_it_can_be_deactivated_with_one_button(staff: Client) -> None:
    """D-06, D-27: the page offers it, and the admin's log has it."""
    partner = make_partner()
    url = act_url(partner, "switch_off")
    assert f'action="{url}"' in staff.get(act_url(partner, "delete")).content.decode()
    assert staff.post(url).status_code == 302
    partner.refresh_from_db()
    assert not partner.active
    assert LogEntry.objects.get().get_change_message() == "Changed active."


def test_instead_of_deleting_a_link_it_can_be_disabled(staff: Client) -> None:
    """D-06"""
    link = make_link()
    assert "Disable it" in staff.get(act_url(link, "delete")).content.decode()
    staff.post(act_url(link, "switch_off"))
    link.refresh_from_db()
    assert link.disabled


def confirmed_partner() -> Partner:
    partner = make_partner()
    make_confirmation(hit=make_hit(link=home_link(partner)))
    return partner


def partner_with_deliveries() -> Partner:
    partner = make_partner()
    make_delivery(subscription=make_subscription(partner=partner), confirmation=make_confirmation())
    return partner


@pytest.mark.parametrize(
    ("make", "kept"),
    [(confirmed_partner, "Confirmations: 1"), (partner_with_deliveries, "Deliveries: 1")],
    ids=["confirmations", "deliveries"],
)
def test_partner_with_successes_or_deliveries_cannot_be_deleted_at_all(staff: Client, make: Any, kept: str) -> None:
    """D-06, X-56: not by the page, and not by a direct POST."""
    partner = make()
    page = staff.get(act_url(partner, "delete")).content.decode()
    assert "cannot be deleted" in page
    assert f"<li>{kept}</li>" in page
    assert "Deactivate it" in page
    staff.post(act_url(partner, "delete"), {"post": "yes"})
    assert Partner.objects.filter(pk=partner.pk).exists()
    assert Confirmation.objects.exists()


def test_link_whose_hits_were_confirmed_cannot_be_deleted(staff: Client) -> None:
    """D-06, X-56"""
    confirmation = make_confirmation()
    link = confirmation.hit.link
    assert "cannot be deleted" in staff.get(act_url(link, "delete")).content.decode()
    staff.post(act_url(link, "delete"), {"post": "yes"})
    assert ReferralLink.objects.filter(pk=link.pk).exists()
    with pytest.raises(ProtectedError):
        link.delete()


def test_home_link_is_not_deleted_on_its_own(staff: Client) -> None:
    """D-06, L-08: the partner's uid always leads somewhere."""
    link = home_link(make_partner())
    assert "deletelink" not in staff.get(change_url(link)).content.decode()
    assert staff.post(act_url(link, "delete"), {"post": "yes"}).status_code == 403


def test_success_that_comes_while_the_question_is_on_the_screen_is_kept(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-06: the database refuses, and the page says so instead of failing."""
    partner = confirmed_partner()
    # What the page has read was true a moment ago.
    monkeypatch.setattr(PartnerAdmin, "kept_for", lambda self, obj: [])
    page = staff.post(act_url(partner, "delete"), {"post": "yes"}, follow=True)
    assert "Something new came in" in page.content.decode()
    assert Partner.objects.filter(pk=partner.pk).exists()


def test_lists_offer_no_deleting_of_a_selection(staff: Client) -> None:
    """D-06: nothing is deleted by the dozen."""
    for row in (make_partner(), make_link(), make_subscription()):
        page = staff.get(change_url(row).split(f"{row.pk}/change")[0]).content.decode()
        assert "delete_selected" not in page


def test_deleting_and_switching_off_need_their_permissions() -> None:
    """D-06, D-25: a button only for those who may; 403 by direct POST."""
    partner = make_partner()
    viewer = browser_of(colleague("view_partner"))
    assert "deletelink" not in viewer.get(change_url(partner)).content.decode()
    assert viewer.post(act_url(partner, "delete"), {"post": "yes"}).status_code == 403
    assert viewer.post(act_url(partner, "switch_off")).status_code == 403
    changer = browser_of(colleague("view_partner", "change_partner"))
    assert changer.post(act_url(partner, "delete"), {"post": "yes"}).status_code == 403
    assert changer.get(act_url(partner, "switch_off")).status_code == 405
    deleter = browser_of(colleague("view_partner", "delete_partner"))
    assert "Deactivate it" not in deleter.get(act_url(partner, "delete")).content.decode()
    deleter.post(act_url(partner, "delete"), {"post": "yes"})
    assert not Partner.objects.exists()


def test_deleting_a_user_keeps_what_was_recorded() -> None:
    """X-56, L-63: visitors, hits and successes stay, with the user emptied."""
    user = make_staff()
    hit = make_hit(link=make_link(user=user), user=user)
    confirmation = make_confirmation(hit=hit)
    make_delivery(confirmation=make_confirmation())
    user.delete()
    assert hit.visitor is not None
    rows: list[Any] = [hit, confirmation, hit.visitor]
    for row in rows:
        row.refresh_from_db()
        assert row.user is None
    hit.link.refresh_from_db()
    assert hit.link.user is None
    assert Delivery.objects.exists()
