"""Subscriptions in the admin."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.test import Client, override_settings
from django.urls import reverse

from livereferrals.callbacks.models import Subscription
from livereferrals.exceptions import InvalidCallBackURL
from livereferrals.triggers import Trigger
from tests.factories import make_partner, make_subscription, make_user

pytestmark = pytest.mark.django_db

ADD = "admin:livereferrals_subscription_add"
TRIGGERS = {
    "TRIGGERS": [
        Trigger(
            "Order paid",
            signal="tests.shop.signals.order_paid",
            receiver="livereferrals.triggers.signal_sent",
            sender=None,
            label="An order was paid",
            help="Each paid order counts.",
        ),
        ("User registered", "django.db.models.signals.post_save", "livereferrals.triggers.object_created", "auth.User"),
    ]
}
GOOD = "https://partner.example/hook?c={confirmation_id}"


@pytest.fixture(autouse=True)
def triggers() -> object:
    with override_settings(LIVEREFERRALS=TRIGGERS):
        yield


def post(staff: Client, **values: object) -> tuple[Subscription | None, str]:
    """Add a subscription; return it, or `None` and the page with the messages."""
    data = {
        "partner": make_partner().pk,
        "trigger": "Order paid",
        "callback_url": GOOD,
        "method": "GET",
        "send_reversals": "on",
        "reversal_url": "",
        "timeout_s": 15,
        "max_in_flight": 4,
    }
    response = staff.post(reverse(ADD), {**data, **values}, follow=True)
    assert response.status_code == 200
    return Subscription.objects.order_by("pk").last(), response.content.decode()


def test_trigger_is_a_drop_down_with_label_and_help(staff: Client) -> None:
    """D-10: made from the settings, X-52: no free text."""
    page = staff.get(reverse(ADD)).content.decode()
    assert '<option value="Order paid">An order was paid</option>' in page
    assert '<option value="User registered">User registered</option>' in page
    assert "Each paid order counts." in page
    saved, page = post(staff, trigger="No such trigger")
    assert saved is None
    assert "errorlist" in page


def test_stored_trigger_that_left_the_settings_stays_selectable_for_its_row(staff: Client) -> None:
    """D-10, S-11: it is marked, and saving the row does not lose it."""
    old = make_subscription(trigger="Old trigger", callback_url=GOOD)
    url = reverse("admin:livereferrals_subscription_change", args=[old.pk])
    assert "Old trigger (not in settings)" in staff.get(url).content.decode()
    data = {
        "trigger": "Old trigger",
        "callback_url": "",
        "method": "POST",
        "reversal_url": "",
        "timeout_s": 9,
        "max_in_flight": 4,
    }
    staff.post(url, data)
    old.refresh_from_db()
    assert (old.trigger, old.timeout_s) == ("Old trigger", 9)


def test_page_lists_what_can_be_put_into_an_address(staff: Client) -> None:
    """D-11: so that the hint "see the list of placeholders" leads somewhere."""
    page = staff.get(reverse(ADD)).content.decode()
    assert all(f"<code>{{{name}}}</code>" in page for name in ("click_id", "amount_minor", "visitor_id"))


def test_callback_url_may_be_empty(staff: Client) -> None:
    """D-11: the partner then reads the feed."""
    saved, _ = post(staff, callback_url="", method="POST")
    assert saved is not None
    assert saved.callback_url == ""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://partner.example/?c={confirmation}", "confirmation_id"),
        ("https://partner.example/?c={confirmation_id", "without its }"),
        ("partner.example/hook?c={confirmation_id}", "https://"),
        ("https://192.168.1.5/hook?c={confirmation_id}", "private"),
        ("https://{partner_uid}.example/?c={confirmation_id}", "placeholder"),
        ("https://partner.example/?c={visitor_id.__class__}", "visitor_id"),
        ("https://partner.example/?c={0}", "{0}"),
        ("https://partner.example/?c={", "without its }"),
    ],
)
def test_each_mistake_in_a_callback_url_is_a_message_at_the_field(staff: Client, url: str, words: str) -> None:
    """D-11, D-12, X-46: in words a person can act on, never a 500."""
    saved, page = post(staff, callback_url=url)
    assert saved is None
    field = page.split("field-callback_url", 1)[1].split("form-row", 1)[0]
    assert "errorlist" in field
    assert words in field


def test_get_without_a_telling_placeholder_asks_for_a_tick(staff: Client) -> None:
    """D-11, X-47: not a 500, and possible when it is really meant."""
    saved, page = post(staff, callback_url="https://partner.example/hook")
    assert saved is None
    assert "errorlist" in page.split("field-no_placeholder", 1)[1].split("form-row", 1)[0]
    saved, _ = post(staff, callback_url="https://partner.example/hook", no_placeholder="on")
    assert saved is not None


def test_long_callback_url_is_fine(staff: Client) -> None:
    """D-12: up to 2,000 characters."""
    url = GOOD + "&pad=" + "x" * 1900
    saved, _ = post(staff, callback_url=url)
    assert saved is not None
    assert saved.callback_url == url


@pytest.mark.parametrize("url", ["https://partner.example/?c={nope}", "ftp://partner.example/", "https://127.0.0.1/"])
def test_full_clean_and_save_refuse_what_the_form_refuses(url: str) -> None:
    """D-13: the old exception is what `save()` raises, and it is a `ValidationError` too."""
    subscription = Subscription(partner=make_partner(), trigger="Order paid", callback_url=url)
    with pytest.raises(InvalidCallBackURL) as caught:
        subscription.save()
    assert isinstance(caught.value, ValidationError)
    with pytest.raises(ValidationError) as found:
        subscription.full_clean()
    assert "callback_url" in found.value.message_dict


def test_second_subscription_to_a_trigger_is_a_message_at_the_field(staff: Client) -> None:
    """D-14: one for each partner and trigger, archived ones aside."""
    first, _ = post(staff)
    assert first is not None
    saved, page = post(staff, partner=first.partner.pk)
    assert saved == first
    assert "already has a subscription" in page.split("field-trigger", 1)[1].split("form-row", 1)[0]

    from django.utils import timezone

    first.archived_at = timezone.now()
    first.save()
    saved, _ = post(staff, partner=first.partner.pk)
    assert saved is not None
    assert saved != first


def test_two_new_subscriptions_of_one_trigger_on_the_partner_page(staff: Client) -> None:
    """D-14: found before the database is asked, so never a 500."""
    partner = make_partner()
    data = {"name": partner.name, "active": "on", "notes": ""}
    data |= {f"links-{field}": "0" for field in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")}
    data |= {"subscriptions-TOTAL_FORMS": "2", "subscriptions-INITIAL_FORMS": "0"}
    for number in (0, 1):
        data |= {
            f"subscriptions-{number}-trigger": "Order paid",
            f"subscriptions-{number}-callback_url": GOOD,
            f"subscriptions-{number}-method": "POST",
        }
    response = staff.post(reverse("admin:livereferrals_partner_change", args=[partner.pk]), data)
    assert response.status_code == 200
    assert "already has a subscription" in response.content.decode()
    assert not Subscription.objects.exists()


def test_plain_http_needs_its_own_permission(client: Client) -> None:
    """D-25: without `allow_plain_http` the tick cannot be set, also not by posting it."""
    from django.contrib.auth.models import Permission

    manager = make_user(is_staff=True)
    manager.user_permissions.set(
        Permission.objects.filter(
            codename__in=["add_subscription", "change_subscription", "view_subscription", "view_partner"]
        )
    )
    client.force_login(manager)
    saved, page = post(client, callback_url=GOOD.replace("https", "http"), allow_plain_http="on")
    assert saved is None
    assert "https" in page.split("field-callback_url", 1)[1].split("form-row", 1)[0]


def test_subscription_with_deliveries_cannot_be_deleted(staff: Client) -> None:
    """D-06: what partners were told stays."""
    from tests.factories import make_delivery

    delivery = make_delivery()
    url = reverse("admin:livereferrals_subscription_delete", args=[delivery.subscription.pk])
    assert staff.post(url, {"post": "yes"}).status_code == 403
    assert Subscription.objects.filter(pk=delivery.subscription.pk).exists()
