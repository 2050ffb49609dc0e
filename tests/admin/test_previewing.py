"""The preview of a callback's address beside its field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import reverse

from livereferrals.admin import previewing
from livereferrals.callbacks import samples
from livereferrals.callbacks.grammar import MACROS
from livereferrals.callbacks.models import Subscription
from tests.admin.people import browser_of, change_url, colleague
from tests.factories import make_partner, make_subscription

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

pytestmark = pytest.mark.django_db

URL = "https://partner.example/{partner_uid}/postback?click={click_id}&sum={amount|0}&c={confirmation_id}"
TRIGGER = ("Order paid", "tests.shop.signals.order_paid", "livereferrals.triggers.signal_sent", "shop.Order")


@pytest.fixture(autouse=True)
def _triggers(settings: Settings) -> None:
    settings.LIVEREFERRALS = {"TRIGGERS": [TRIGGER], "CALLBACKS": {"WORKER": "off"}}


def ask(browser: Client, **typed: str) -> str:
    """Ask as the script does while somebody types."""
    answer = browser.post(reverse(f"admin:{previewing.NAME}"), typed)
    assert answer.status_code == 200
    return answer.content.decode()


def test_preview_is_the_rendered_address_with_sample_values(staff: Client) -> None:
    """D-16: on the subscription's page and on the partner's, before anything is typed."""
    subscription = make_subscription(callback_url=URL, method="GET")
    for row in (subscription, subscription.partner):
        page = staff.get(change_url(row)).content.decode()
        assert (
            f"https://partner.example/{subscription.partner.uid}/postback?click=your-click-4711&amp;sum=49.90" in page
        )
        assert "data-lr-preview" in page


def test_preview_follows_what_is_typed(staff: Client) -> None:
    """D-16: the page's script asks for it; the address comes in the body, for it may hold a secret."""
    assert "<b>GET</b> https://partner.example/?c=019e" in ask(
        staff, callback_url="https://partner.example/?c={confirmation_id}", method="GET"
    )
    assert "The event goes along as JSON" in ask(staff, callback_url="https://partner.example/", method="POST")
    assert "the partner is not called" in ask(staff, callback_url="  ")
    assert staff.get(reverse(f"admin:{previewing.NAME}")).status_code == 405


def test_host_of_another_script_is_shown_as_it_is_called(staff: Client) -> None:
    """callback-S25, callback-S21: a Cyrillic letter among Latin ones looks alike and is another host."""
    typed = "https://p\u0430rtner.example:8443/?c={confirmation_id}"
    shown = ask(staff, callback_url=typed, method="GET")
    assert "https://xn--prtner-3nf.example:8443/?c=" in shown
    assert "The host that is called is xn--prtner-3nf.example:8443." in shown
    make_subscription(callback_url=typed)
    page = staff.get(reverse("admin:livereferrals_subscription_changelist")).content.decode()
    assert "xn--prtner-3nf.example" in page
    assert "\u0430rtner" not in page


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://partner.example/?c={confirmation}", "confirmation_id"),
        ("http://partner.example/", "under “Limits”"),
        ("https://10.0.0.1/", "(refused: private address). If you trust this server, a developer can allow it"),
        ("https://nope.invalid/", "(refused: reserved name)."),
        ("https://partner.example/?c={", "without its }"),
        ("x" * 5000, "longer than"),
    ],
    ids=["placeholder", "plain", "private", "reserved", "brace", "long"],
)
def test_preview_of_a_wrong_address_says_what_is_wrong(staff: Client, url: str, words: str) -> None:
    """D-16, D-11: in the same words as at the field."""
    answer = ask(staff, callback_url=url, method="GET")
    assert "Cannot be called yet:" in answer
    assert words in answer


def test_preview_warns_of_what_is_probably_not_meant(staff: Client) -> None:
    """D-16: nothing that tells one event from another; a secret in the address."""
    assert "Nothing in this address tells one event" in ask(staff, callback_url="https://p.example/", method="GET")
    assert "looks like a secret" in ask(staff, callback_url="https://p.example/?token=abc", method="POST")


def test_every_placeholder_has_a_sample(staff: Client) -> None:
    """D-16: none is shown as empty, so that people see what they will get."""
    values = samples.sample_values(trigger="", partner_uid="")
    assert {name for name in MACROS if not values[name]} == set()


def test_preview_is_there_without_a_script_after_a_save_that_failed(staff: Client) -> None:
    """D-16: with what was typed, not with what is stored."""
    subscription = make_subscription(callback_url=URL, method="GET")
    data = {"trigger": "Order paid", "callback_url": "https://other.example/{click_id}", "method": "GET"}
    answer = staff.post(change_url(subscription), {**data, "reversal_url": "", "timeout_s": 99, "max_in_flight": 4})
    assert answer.status_code == 200
    assert "https://other.example/your-click-4711" in answer.content.decode()
    assert Subscription.objects.get().callback_url == URL


def test_page_for_a_new_subscription_has_a_preview(staff: Client) -> None:
    """D-16: also where there is no row yet, and no partner."""
    assert "the partner is not called" in staff.get(reverse("admin:livereferrals_subscription_add")).content.decode()
    assert "data-lr-preview" in staff.get(change_url(make_partner())).content.decode()


def test_what_is_typed_is_shown_as_text(staff: Client) -> None:
    """D-28"""
    evil = 'https://partner.example/"><script>alert(1)</script>'
    subscription = make_subscription()
    Subscription.objects.filter(pk=subscription.pk).update(callback_url=evil)
    assert "<script>alert" not in ask(staff, callback_url=evil, trigger="<script>alert(2)</script>")
    assert "<script>alert" not in staff.get(change_url(subscription)).content.decode()


def test_preview_needs_a_permission_to_edit() -> None:
    """D-25"""
    url = reverse(f"admin:{previewing.NAME}")
    assert browser_of(colleague("view_subscription")).post(url, {"callback_url": URL}).status_code == 403
    assert browser_of(colleague("view_subscription", "add_subscription")).post(url, {}).status_code == 200
