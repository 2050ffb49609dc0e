"""Subscriptions: what is refused at save, and what a new one comes with."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from livereferrals.callbacks import checking
from livereferrals.callbacks.models import Endpoint, SigningSecret, Subscription
from livereferrals.exceptions import ConfigurationError, InvalidCallBackURL
from tests.factories import make_delivery, make_partner

pytestmark = pytest.mark.django_db


def make(**overrides: Any) -> Subscription:
    values = {"partner": make_partner(), "trigger": "Order paid", "callback_url": "https://partner.example/x"}
    return Subscription(**values | overrides)


BAD_URLS = [
    "https://partner.example/{visitr_id}",
    "https://partner.example/{0.__class__}",
    "https://partner.example/{",
    "not a url",
    "http://partner.example/",
    "https://10.0.0.1/",
    "https://localhost/",
    "https://partner.example:22/",
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("field", ["callback_url", "reversal_url"])
def test_save_and_full_clean_refuse_the_same(url: str, field: str) -> None:
    """D-13, callback-S23: scripts and fixtures pass no more than forms; the old exception is a ValidationError."""
    with pytest.raises(InvalidCallBackURL) as saved:
        make(**{field: url}).save()
    assert isinstance(saved.value, ValidationError)
    with pytest.raises(ValidationError) as cleaned:
        make(**{field: url}).full_clean()
    assert saved.value.message in cleaned.value.message_dict[field]
    assert not Subscription.objects.exists()


def test_every_mistake_stands_at_its_field() -> None:
    """D-11: one message for each, addresses and headers alike."""
    bad = make(callback_url="https://p.example/{a}{b}", headers=[{"name": "Host", "value": "x"}])
    with pytest.raises(ValidationError) as caught:
        bad.full_clean()
    assert len(caught.value.message_dict["callback_url"]) == 2
    assert caught.value.message_dict["headers"] == ["The header Host is set by the system."]


def test_new_subscription_comes_with_endpoint_and_secret() -> None:
    """callback-S12: 32 random bytes of its own, in the form of the specification."""
    first, second = make(), make()
    first.save()
    second.save()
    assert Endpoint.objects.filter(subscription=first, state="active").exists()
    values = {first.secrets.get().value, second.secrets.get().value}
    assert len(values) == 2
    assert all(len(base64.b64decode(value.removeprefix("whsec_"))) == 32 for value in values)


def test_one_secret_is_active() -> None:
    """callback-S12: the database holds it."""
    subscription = make()
    subscription.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        SigningSecret.objects.create(subscription=subscription)


def test_change_counts_up_the_version() -> None:
    """callback-F19: an attempt says under which settings it was made."""
    subscription = make()
    subscription.save()
    subscription.timeout_s = 5
    subscription.save()
    assert subscription.endpoint.config_version == 1
    assert Endpoint.objects.get(subscription=subscription).config_version == 2


def test_long_url_with_placeholders_everywhere_is_kept() -> None:
    """D-12, X-54: 2,000 characters, in path and query."""
    url = "https://partner.example/{link}/{visitor_id}?r={reference}&x="
    subscription = make(callback_url=url + "x" * (2000 - len(url)))
    subscription.full_clean()
    subscription.save()
    assert len(Subscription.objects.get().callback_url) == 2000


def test_empty_url_is_fed_by_the_feed_alone() -> None:
    """D-11: allowed."""
    subscription = make(callback_url="")
    subscription.full_clean()
    subscription.save()


def test_archiving_does_not_fail_for_an_address_of_old(settings: Any) -> None:
    """D-13: only what is about to be written is checked."""
    subscription = make(callback_url="http://127.0.0.1/", allow_plain_http=True)
    subscription.save()
    settings.LIVEREFERRALS = {}
    subscription.archived_at = timezone.now()
    subscription.save(update_fields=["archived_at"])
    with pytest.raises(InvalidCallBackURL):
        subscription.save()


def test_second_subscription_of_a_partner_to_a_trigger_is_a_message() -> None:
    """D-14: archived ones aside."""
    first = make()
    first.save()
    with pytest.raises(ValidationError, match="already has a subscription"):
        make(partner=first.partner).full_clean()
    Subscription.objects.update(archived_at=timezone.now())
    again = make(partner=first.partner)
    again.full_clean()
    again.save()


def test_mistyped_allow_list_is_a_configuration_error(settings: Any) -> None:
    """callback-S1: it opens nothing silently."""
    settings.LIVEREFERRALS = {"CALLBACKS": {"ALLOW": ["10.0.0.0/99"]}}
    with pytest.raises(ConfigurationError, match="ALLOW"):
        checking.rules()


def test_rows_say_who_they_are() -> None:
    """D-20: in the admin's lists."""
    delivery = make_delivery()
    assert str(delivery.subscription) == f"{delivery.subscription.partner}: Order paid"
    assert str(delivery) == str(delivery.pk)
    assert "active" in str(delivery.subscription.endpoint)
    secret = delivery.subscription.secrets.get()
    assert secret.value not in str(secret)
