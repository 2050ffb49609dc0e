"""What happened can be looked at in the admin, and not changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, ReferralHit, Reversal, Visitor
from tests.admin.people import act_url, change_url, list_url
from tests.factories import (
    home_link,
    make_confirmation,
    make_delivery,
    make_event,
    make_hit,
    make_partner,
    make_subscription,
    make_user,
    make_visitor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model
    from django.test import Client

pytestmark = pytest.mark.django_db

MODELS = [Visitor, ReferralHit, Confirmation, Event, Delivery]


def make(model: type[Model]) -> Model:
    """Make one row of the model."""
    makers: dict[type[Model], Callable[[], Model]] = {
        Visitor: make_visitor,
        ReferralHit: make_hit,
        Confirmation: make_confirmation,
        Event: make_event,
        Delivery: make_delivery,
    }
    return makers[model]()


@pytest.mark.parametrize("model", MODELS)
def test_what_happened_is_neither_added_changed_nor_deleted(staff: Client, model: type[Model]) -> None:
    """D-20: also not by a superuser, also not by a direct POST."""
    row = make(model)
    name = f"admin:livereferrals_{model._meta.model_name}"
    assert staff.get(reverse(f"{name}_changelist")).status_code == 200
    page = staff.get(reverse(f"{name}_change", args=[row.pk]))
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert staff.get(reverse(f"{name}_add")).status_code == 403
    assert staff.post(reverse(f"{name}_change", args=[row.pk]), {"trigger": "x"}).status_code == 403
    assert staff.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


def test_amounts_are_absent_without_their_permission(client: Client) -> None:
    """D-25: `view_confirmation` alone shows no amount in any byte."""
    viewer = make_user(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_confirmation"))
    client.force_login(viewer)
    confirmation = make_confirmation(amount="77.31")
    pages = [
        reverse("admin:livereferrals_confirmation_changelist"),
        reverse("admin:livereferrals_confirmation_change", args=[confirmation.pk]),
    ]
    assert not any(b"77.31" in client.get(page).content for page in pages)

    viewer.user_permissions.add(Permission.objects.get(codename="view_amounts"))
    assert all("77.31\N{NO-BREAK SPACE}EUR" in client.get(page).content.decode() for page in pages)


def test_text_from_outside_is_escaped(staff: Client) -> None:
    """D-28: agent, referer and entry URL are text, whatever they hold."""
    evil = "<script>alert(1)</script>"
    hit = make_hit(user_agent=evil, referer=f"javascript:{evil}", entry_url=f"/{evil}", click_id=evil)
    confirmation = make_confirmation(hit=hit, reference=evil, trace={"note": evil})
    pages = [
        reverse("admin:livereferrals_referralhit_change", args=[hit.pk]),
        reverse("admin:livereferrals_referralhit_changelist"),
        reverse("admin:livereferrals_confirmation_change", args=[confirmation.pk]),
        reverse("admin:livereferrals_confirmation_changelist"),
    ]
    for page in pages:
        content = staff.get(page).content
        assert b"<script>alert(1)" not in content
        assert b'href="javascript:' not in content


def test_text_from_outside_is_escaped_in_stories_questions_and_filters(staff: Client) -> None:
    """D-28: a partner's name, a note, a server's answer, a trace and what somebody typed."""
    evil = "<script>alert(1)</script>"
    partner = make_partner(name=evil)
    hit = make_hit(link=home_link(partner))
    trace = {"rule": evil, "outcome": evil, "hits": [{"link": evil, "partner": partner.uid, "verdict": evil}]}
    confirmation = make_confirmation(hit=hit, trace=trace, trigger=evil, reference=evil)
    delivery = make_delivery(confirmation=confirmation)
    DeliveryAttempt.objects.create(
        delivery=delivery, number=1, started_at=timezone.now(), outcome=evil[:16], error=evil, response_excerpt=evil
    )
    Reversal.objects.create(confirmation=confirmation, reason="other", note=evil, created_at=timezone.now())
    subscription = make_subscription(partner=partner, trigger=evil)
    pages = [
        change_url(confirmation),
        change_url(delivery),
        change_url(partner),
        act_url(confirmation, "reverse"),
        act_url(partner, "delete"),
        act_url(make_partner(name=evil), "delete"),
        act_url(subscription, "archive"),
        act_url(hit.visitor, "asking") if hit.visitor else "",
        f"{list_url('referralhit')}?partner={evil}&link={evil}&day={evil}",
        f"{list_url('confirmation')}?trigger={evil}&q={evil}",
        list_url("partner"),
        list_url("delivery"),
    ]
    for page in pages:
        answer = staff.get(page)
        assert answer.status_code == 200, page
        assert b"<script>alert(1)" not in answer.content, page


def test_all_pages_of_the_app_are_registered() -> None:
    """D-20: nothing else of the app can be edited by way of the admin."""
    registered = {model.__name__ for model in admin.site._registry if model._meta.app_label == "livereferrals"}
    expected = {
        "Partner",
        "ReferralLink",
        "Subscription",
        "Visitor",
        "ReferralHit",
        "Confirmation",
        "Event",
        "Delivery",
        "FeedToken",
    }
    assert registered == expected


@pytest.mark.parametrize("query", ["no-such-thing", "'", "019e0000-0000-7000-8000-000000000000", "\x00", "%"])
@pytest.mark.parametrize("model", MODELS)
def test_searching_for_anything_answers(staff: Client, model: type[Model], query: str) -> None:
    """D-21: text that is no id is simply not found."""
    page = staff.get(reverse(f"admin:livereferrals_{model._meta.model_name}_changelist"), {"q": query})
    assert page.status_code in {200, 302}
