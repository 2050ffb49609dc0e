"""Every page in German: no English is left, numbers and plurals are right, and frames have the viewer's language."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from livereferrals.callbacks.mailing import send_alert
from livereferrals.callbacks.models import EndpointAlert
from livereferrals.callbacks.models.upkeep import AlertCause
from livereferrals.dashboard import catalogue, wording
from livereferrals.dashboard.access import rights_of
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.pages import render_frame
from livereferrals.dashboard.viewpoints import Viewpoint
from livereferrals.events.models import EventType
from livereferrals.tracking.models import Confirmation
from tests.catalogues import english_in, visible
from tests.dashboard import house as houses
from tests.dashboard.test_permissions import RULES, address
from tests.factories import make_staff

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

    from tests.dashboard.house import House

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NAMES = frozenset({"Home", "Order paid", "boss"})
"""A link's, a trigger's and a user's."""
DJANGOS = frozenset({"Search"})
"""What the admin's own templates say in English: the picture beside the search."""


@pytest.fixture
def house(settings: Any) -> House:
    settings.LANGUAGE_CODE = "de"
    return houses.build(settings)


@pytest.fixture
def staff(house: House) -> Client:
    client = Client()
    client.force_login(make_staff(username="boss"))
    return client


def pages() -> list[tuple[str, int]]:
    return [(name, number) for name, rules in RULES.items() for number, rule in enumerate(rules) if rule.ok == 200]


def test_no_page_of_the_dashboard_has_english_left(staff: Client, house: House) -> None:
    """dashboard-46, D-29: every address, for staff and for a partner's own login."""
    partner = Client()
    partner.force_login(house.login)
    found = {}
    for client, who in ((staff, "staff"), (partner, "partner")):
        for name, number in pages():
            if name.endswith(("_export", "_json", "_picture")):
                continue
            response = client.get(address(name, RULES[name][number], house.own))
            if english := english_in(response.content.decode(), names=NAMES):
                found[who, name, number] = english
    assert found == {}


def admin_pages(house: House) -> list[str]:
    """The lists, a row of each, and what can be added."""
    found = [reverse("admin:index"), reverse("admin:app_list", args=["livereferrals"])]
    for model in site._registry:
        if model._meta.app_label != "livereferrals":
            continue
        name = f"admin:livereferrals_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        row = model._default_manager.order_by("pk").first()
        assert row is not None, model
        found.append(reverse(f"{name}_change", args=[row.pk]))
        if model._meta.model_name in {"partner", "referrallink", "subscription", "feedtoken"}:
            found.append(reverse(f"{name}_add"))
    return found


def test_the_admin_has_no_english_left(staff: Client, house: House) -> None:
    """D-29, dashboard-46"""
    found = {}
    for url in admin_pages(house):
        response = staff.get(url)
        assert response.status_code == 200, url
        if english := english_in(response.content.decode(), names=NAMES | DJANGOS):
            found[url] = english
    assert found == {}


def test_frames_have_the_language_of_their_viewer(house: House, settings: Any) -> None:
    """dashboard-40, dashboard-46, D-29: whatever the site's own language is, in every region of every page."""
    settings.LANGUAGE_CODE = "en-gb"
    rights = rights_of(make_staff())
    assert rights is not None
    found = {}
    for page in catalogue.PAGES:
        about = RULES[page.name][0].about
        viewpoint = Viewpoint(
            view=page.name,
            subject=str(house.own.subject(about)) if about else "",
            filters=Filters(),
            rights=rights,
            language="de",
            zone="Europe/Berlin",
        )
        markup = "".join(render_frame(page, viewpoint).regions.values())
        assert visible(markup), page.name
        if english := english_in(markup, names=NAMES):
            found[page.name] = english
    assert found == {}


def test_numbers_money_and_plurals_are_german(settings: Any) -> None:
    """dashboard-46"""
    settings.LANGUAGE_CODE = "de"
    assert wording.money(Decimal("1234.5"), "EUR") == "1.234,50\N{NO-BREAK SPACE}EUR"
    assert wording.money(Decimal("-1234567"), "JPY") == "\N{MINUS SIGN}1.234.567\N{NO-BREAK SPACE}JPY"
    assert wording.per_cent(Decimal(2) / 3) == "66,7\N{NARROW NO-BREAK SPACE}%"
    claims = [wording.SENTENCES[EventType.CLAIM]({"hits": count}) for count in (1, 2, 1234)]
    assert claims == [
        "1 Aufruf einem Benutzer zugeordnet",
        "2 Aufrufe einem Benutzer zugeordnet",
        "1.234 Aufrufe einem Benutzer zugeordnet",
    ]


def test_amounts_are_german_in_forms_and_lists_too(staff: Client, house: House) -> None:
    """dashboard-46: what is left to reverse of 4,321.98 is a part of it that was not reversed yet."""
    Confirmation.objects.filter(pk=house.own.confirmation.pk).update(reversed_at=None, reversed_micros=1_000_000)
    for url in (
        reverse("livereferrals_dashboard:confirmation_reverse", args=[house.own.confirmation.pk]),
        reverse("livereferrals_dashboard:confirmations"),
        reverse("admin:livereferrals_confirmation_changelist"),
        reverse("admin:livereferrals_confirmation_change", args=[house.own.confirmation.pk]),
    ):
        text = " ".join(visible(staff.get(url).content.decode()))
        assert re.search(r"4\.32[01],98 EUR", text), url
        assert not re.search(r"[0-9]\.[0-9]{2}\sEUR", text), url


def test_what_is_wrong_with_an_address_is_said_in_german(staff: Client, house: House) -> None:
    """D-29, D-13: also what is found by rules that know nothing of pages."""
    url = reverse("admin:livereferrals_subscription_add")
    values = {"partner": house.own.partner.pk, "trigger": "Order paid", "method": "POST", "timeout_s": 10}
    for address_, mistake in (
        ("https://partner.example/?c={", "Eine { ohne ihre }."),
        ("https://partner.example/{nobody}", "Es gibt keinen Platzhalter {nobody}."),
        ("https://127.0.0.1/", "abgelehnt: private Adresse"),
    ):
        response = staff.post(url, {**values, "callback_url": address_})
        assert mistake in " ".join(visible(response.content.decode()))


def test_alert_mails_are_german(house: House, settings: Any, mailoutbox: list[EmailMessage]) -> None:
    """D-29: in the site's language, for whoever reads `ALERT_EMAILS`."""
    settings.LIVEREFERRALS = {**settings.LIVEREFERRALS, "CALLBACKS": {"ALERT_EMAILS": ["ops@example.org"]}}
    subscription = house.own.delivery.subscription
    row = EndpointAlert.objects.create(subscription=subscription, cause=AlertCause.FAILING, raised_at=timezone.now())
    assert send_alert(row)
    (mail,) = mailoutbox
    assert mail.subject == f"{subscription}: seit einem Tag scheitert jede Anfrage"
    assert "Was geschehen ist: seit einem Tag scheitert jede Anfrage" in mail.body


def test_every_english_text_that_is_not_translated_would_be_found() -> None:
    """dashboard-46: what the others compare with."""
    markup = "<p>Latest events</p><p>Die Partner</p><a title='This is nowhere'>x</a><pre>the answer</pre><p>3 hits tied to a user</p>"
    assert english_in(markup) == ["Latest events", "This is nowhere", "3 hits tied to a user"]
