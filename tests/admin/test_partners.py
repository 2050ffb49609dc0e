"""Partners in the admin, as somebody who is not technical uses them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from livereferrals.tracking.models import Partner
from tests.factories import make_partner, make_subscription

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

ADD = "admin:livereferrals_partner_add"


def change_url(partner: Partner) -> str:
    return reverse("admin:livereferrals_partner_change", args=[partner.pk])


def change_data(partner: Partner, **overrides: str) -> dict[str, str]:
    """Return what the browser posts back for a partner without links and subscriptions on the page."""
    counts = {
        f"{prefix}-{field}": "0"
        for prefix in ("links", "subscriptions")
        for field in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")
    }
    return {**counts, "name": partner.name, "notes": "", **overrides}


def test_adding_asks_for_a_name_and_nothing_else(staff: Client) -> None:
    """D-01: a name is enough; the page that follows shows the uid and both addresses, ready to copy."""
    form = staff.get(reverse(ADD)).content.decode()
    asked = set(re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', form))
    assert {name for name in asked if not name.startswith(("_", "csrf"))} == {"name"}

    response = staff.post(reverse(ADD), {"name": "Acme"}, follow=True, headers={"host": "shop.example"})

    partner = Partner.objects.get()
    page = response.content.decode()
    assert response.redirect_chain == [(change_url(partner), 302)]
    for address in (f"http://shop.example/ref/{partner.uid}", f"http://shop.example/?affiliate_id={partner.uid}"):
        assert f'data-lr-copy="{address}"' in page
        assert f">{address}</code>" in page
    assert partner.uid in page


def test_copy_buttons_are_driven_by_a_script_that_the_page_loads(staff: Client) -> None:
    """D-01: one button copies, and the page brings the script for it."""
    page = staff.get(change_url(make_partner())).content.decode()
    assert re.search(r'<script[^>]+src="/static/livereferrals/admin\.js"', page)


def test_uid_is_eight_random_alphanumerics_and_never_edited(staff: Client) -> None:
    """D-02: made by the system, different each time, ignored when posted, found by the search."""
    partner, other = make_partner(), make_partner()
    assert re.fullmatch(r"[A-Za-z0-9]{8}", partner.uid)
    assert partner.uid != other.uid

    uid = partner.uid
    staff.post(change_url(partner), change_data(partner, uid="hacked00", active="on"))
    partner.refresh_from_db()
    assert partner.uid == uid

    found = staff.get(reverse("admin:livereferrals_partner_changelist"), {"q": partner.uid}).content.decode()
    assert partner.name in found
    assert other.name not in found


def test_new_partner_is_inactive_and_the_page_says_so(staff: Client) -> None:
    """D-03: in plain words, with a button that makes it active."""
    staff.post(reverse(ADD), {"name": "Acme"})
    partner = Partner.objects.get()
    assert partner.active is False
    page = staff.get(change_url(partner)).content.decode()
    assert "This partner is not active" in page
    assert 'name="_activate"' in page

    answer = staff.post(change_url(partner), change_data(partner, _activate="Activate"), follow=True).content.decode()

    assert Partner.objects.get().active
    assert "Acme is active now." in answer
    assert "This partner is not active" not in answer


def test_saving_an_inactive_partner_with_subscriptions_gives_a_hint(staff: Client) -> None:
    """D-03: nobody wonders why nothing is counted."""
    partner = make_partner(active=False)
    make_subscription(partner=partner)
    data = change_data(partner, **{"subscriptions-TOTAL_FORMS": "0"})
    page = staff.post(change_url(partner), data, follow=True).content.decode()
    assert "has subscriptions but is not active" in page


def test_bulk_actions_switch_partners_and_are_logged(staff: Client) -> None:
    """D-04: activate and deactivate a selection; D-27: it stands in the admin's log."""
    from django.contrib.admin.models import LogEntry

    partners = [make_partner(active=False), make_partner(active=False)]
    chosen = {"action": "activate", "_selected_action": [partner.pk for partner in partners]}
    staff.post(reverse("admin:livereferrals_partner_changelist"), chosen)
    assert Partner.objects.filter(active=True).count() == 2
    assert LogEntry.objects.count() == 2


def test_viewer_without_change_permission_gets_no_activate_button(client: Client) -> None:
    """D-25: a user with view only sees no button that does not work, and cannot post either."""
    from django.contrib.auth.models import Permission

    from tests.factories import make_user

    viewer = make_user(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_partner"))
    client.force_login(viewer)
    partner = make_partner(active=False)

    assert 'name="_activate"' not in client.get(change_url(partner)).content.decode()
    assert client.post(change_url(partner), change_data(partner, _activate="1")).status_code == 403
    partner.refresh_from_db()
    assert not partner.active
