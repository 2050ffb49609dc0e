"""What the privacy page promises to visitors and of partners."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory

from livereferrals import testing
from livereferrals.callbacks.grammar import MACROS
from livereferrals.callbacks.models import Delivery
from livereferrals.tracking.middleware import ReferralMiddleware
from livereferrals.tracking.models import Visitor
from livereferrals.triggers import Trigger
from tests.factories import PASSWORD, home_link, make_user
from tests.shop.models import Order
from tests.shop.signals import order_paid

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.test import Client
    from pytest_django import Settings

    from livereferrals.tracking.models import ReferralHit

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent
PAID = "Order paid"
PERSON = {
    "username": "carla-surname",
    "email": "carla@person.example",
    "first_name": "Carlotta",
    "last_name": "Personal",
}
ADDRESS, AGENT = "203.0.113.77", "Mozilla/5.0 (X11; Linux x86_64) VeryOwnBrowser/7"


@pytest.fixture(autouse=True)
def paid(settings: Settings) -> None:
    trigger = Trigger(
        PAID,
        signal="tests.shop.signals.order_paid",
        receiver="livereferrals.triggers.signal_sent",
        sender="shop.Order",
        user="customer",
        reference="number",
    )
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [trigger]}


def buy(client: Client, *, callback_url: str) -> ReferralHit:
    """Let the person follow a link of a new partner, log in and buy."""
    partner = testing.make_partner("Acme", triggers=[PAID], callback_url=callback_url)
    person = make_user(**PERSON)
    response = client.get(f"/ref/{home_link(partner).identifier}", headers={"user-agent": AGENT}, REMOTE_ADDR=ADDRESS)
    assert response.status_code == 302
    client.post("/login/", {"username": person.username, "password": PASSWORD})
    with transaction.atomic():
        order = Order.objects.create(customer=person, number="A-1")
        order_paid.send(Order, instance=order)
    return partner.hits.get()


def test_a_visitor_gets_one_cookie_that_the_docs_name_with_its_age(client: Client) -> None:
    """Y-07: and nothing else is kept in the browser, nor asked of anybody else"""
    followed = testing.follow(client, home_link(testing.make_partner()))
    ((name, cookie),) = followed.response.cookies.items()
    said = (ROOT / "docs/privacy.md").read_text()
    assert f"| `{name}` |" in said
    assert cookie["max-age"] == 365 * 86_400
    assert "| a year (`COOKIE_MAX_AGE`) |" in said
    assert followed.response.content == b""  # no pixel, no script: nothing that could ask or keep anything


def test_nothing_that_browsers_are_sent_asks_third_parties_or_keeps_anything_for_visitors() -> None:
    """Y-07"""
    sent = [
        *(ROOT / "livereferrals/static/livereferrals").glob("*.css"),
        *(ROOT / "livereferrals/templates").rglob("*.html"),
    ]
    assert len(sent) > 20
    for path in sent:
        asked = re.findall(r"""(?:src|href|url|@import)\s*[=(]\s*["']?(https?:)?//""", path.read_text())
        assert not asked, path
    for path in (ROOT / "livereferrals/templates").rglob("*.html"):
        assert not re.search(r"localStorage|indexedDB|toDataURL", path.read_text()), path


def test_partners_get_ids_and_nothing_that_names_a_person(client: Client) -> None:
    """Y-08: neither in their feed nor in what is owed to them"""
    hit = buy(client, callback_url="https://partner.example/postback?v={visitor_id}")
    partner = hit.partner
    assert partner is not None
    owed = Delivery.objects.get()
    with testing.after_commit():
        pass
    told = json.dumps([*testing.feed_events(partner), owed.payload])
    assert str(hit.visitor_id) in told
    assert "A-1" in told
    for secret in (*PERSON.values(), ADDRESS, ADDRESS.rpartition(".")[0], AGENT, "VeryOwnBrowser"):
        assert secret not in told
    named = [name for name in MACROS if re.search(r"mail|name|phone|ip\b|address|agent", name)]
    assert named == []


def test_withdrawing_consent_takes_the_visitor_from_the_browser(client: Client) -> None:
    """Y-10"""
    followed = testing.follow(client, home_link(testing.make_partner()))
    assert followed.visitor is not None
    heard = []

    def withdraw(request: HttpRequest) -> HttpResponse:
        heard.append(request.referral.visitor)  # type: ignore[attr-defined] # the middleware's
        response = HttpResponse()
        request.referral.forget(response)  # type: ignore[attr-defined] # the middleware's
        heard.append(request.referral.visitor)  # type: ignore[attr-defined] # the middleware's
        return response

    request = RequestFactory().get("/consent/")
    request.COOKIES = {name: cookie.value for name, cookie in client.cookies.items()}
    response = ReferralMiddleware(withdraw)(request)
    assert heard == [followed.visitor, None]
    (cookie,) = response.cookies.values()  # type: ignore[union-attr] # sync here
    assert (cookie.key, cookie.value, cookie["max-age"]) == ("livereferrals_visitor", "", 0)
    assert Visitor.objects.filter(pk=followed.visitor.pk).exists()
