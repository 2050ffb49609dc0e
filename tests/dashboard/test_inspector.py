"""The signal inspector and its dry run: connected or not and why, what each trigger decided, and nothing written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.signals import post_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from livereferrals import api
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger, firings, registry
from livereferrals.triggers.confirming import Result
from livereferrals.triggers.firings import recorder
from livereferrals.triggers.models import TriggerCount, TriggerFiring
from tests.dashboard.makers import cursor_of, make_viewer, metrics
from tests.factories import (
    make_confirmation,
    make_hit,
    make_link,
    make_order,
    make_partner,
    make_subscription,
    make_user,
    make_visitor,
)
from tests.shop.models import Order
from tests.shop.signals import order_paid

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    Declare = Callable[..., None]

pytestmark = pytest.mark.django_db
PAGE = reverse("livereferrals_dashboard:triggers")
TRY = reverse("livereferrals_dashboard:dry_run")
PAID = Trigger(
    "Order paid",
    signal="tests.shop.signals.order_paid",
    receiver="livereferrals.triggers.signal_sent",
    sender="shop.Order",
    user="customer",
    reference="number",
)


@pytest.fixture
def declare(settings: Settings) -> Declare:
    def put(*triggers: object, **keys: Any) -> None:
        settings.LIVEREFERRALS = {**django_settings.LIVEREFERRALS, "TRIGGERS": list(triggers), **keys}

    return put


def staff(*codenames: str) -> Client:
    client = Client()
    client.force_login(make_viewer("view_dashboard", "view_triggerfiring", *codenames))
    return client


def page(*codenames: str) -> str:
    response = staff(*codenames).get(PAGE)
    assert response.status_code == 200
    return str(response.content.decode())


def ask(client: Client | None = None, **query: str) -> str:
    response = (client or staff("view_visitor")).get(TRY, query)
    assert response.status_code == 200
    return str(response.content.decode())


def test_each_trigger_shows_what_it_is_and_what_it_decided(declare: Declare) -> None:
    """dashboard-1, dashboard-2, dashboard-36: signal, sender, receiver, counts, last firings with their reason in words"""
    declare(PAID, TRIGGER_ERRORS="raise")
    partner = make_partner(name="Acme")
    buyer = make_user()
    make_hit(visitor=make_visitor(user=buyer), link=make_link(partner=partner, identifier="acme1"))
    confirmation = make_confirmation(hit=make_hit())
    order_paid.send(Order, instance=make_order(customer=buyer))
    firings.watched(PAID, PAID.receiver, lambda: firings_result(confirmation))
    firings.failed(PAID, test_each_trigger_shows_what_it_is_and_what_it_decided, reason="error", began=0)
    recorder.flush()
    found = page()
    assert cursor_of(found)
    for text in (
        "tests.shop.signals.order_paid",
        "shop.Order",
        "livereferrals.triggers.signal_sent",
        "The partner is not subscribed to this trigger",
        "acme1, less than a minute before: the partner is not subscribed to this trigger",
        "This reference was confirmed before",
        "An error stopped it; the log has the details",
        'data-tone="good">Connected',
    ):
        assert text in found, text
    assert metrics(found) == {"fired-1": "3", "attributed-1": "0", "unattributed-1": "2", "failed-1": "1"}
    assert found.count('<tr id="firing-') == 3


def test_decision_without_a_signal_stands_in_the_inspector_too(declare: Declare) -> None:
    """dashboard-36: what a host's own code confirms by the API, a "no" with its reason"""
    declare(PAID)
    buyer = make_user()
    api.confirm("Order paid", user=buyer, reference="A-1")
    recorder.flush()
    found = page()
    assert str(Reason.NO_HITS.label)[1:] in found
    assert "<td" in found
    assert "confirm" in TriggerFiring.objects.get().receiver
    assert metrics(found)["unattributed-1"] == "1"


def test_receiver_that_confirms_by_the_api_is_one_firing(declare: Declare) -> None:
    """dashboard-36"""
    declare(PAID)
    buyer = make_user()
    firings.watched(PAID, PAID.receiver, lambda: api.confirm("Order paid", user=buyer, reference="A-1"))
    assert len(recorder.waiting()) == 1
    api.confirm("Order paid", user=buyer, reference="A-2")
    assert len(recorder.waiting()) == 2


def firings_result(confirmation: Confirmation) -> Any:
    """Return a "no" that names a confirmation of before."""
    return Result(reason=Reason.DUPLICATE_REFERENCE, confirmation=confirmation)


def test_confirmed_firing_leads_to_its_confirmation(declare: Declare) -> None:
    """dashboard-36"""
    declare(PAID)
    confirmation = make_confirmation(hit=make_hit())
    TriggerFiring.objects.create(
        trigger=PAID.name, fired_at=timezone.now(), reason="confirmed", confirmation=confirmation.pk
    )
    assert f'href="{reverse("livereferrals_dashboard:confirmation", args=[confirmation.pk])}"' in page()


def test_misconnected_trigger_shows_why(declare: Declare) -> None:
    """dashboard-36: a sender that is not there, one that is no signal, an entry that is no trigger, one switched off"""
    declare(
        Trigger(
            "No such sender", signal=order_paid, receiver="livereferrals.triggers.signal_sent", sender="shop.Nothing"
        ),
        Trigger("No signal", signal="tests.shop.models.Order", receiver="livereferrals.triggers.signal_sent"),
        Trigger("No receiver", signal=order_paid, receiver="tests.shop.nowhere.f"),
        Trigger("Off", signal=order_paid, receiver="livereferrals.triggers.signal_sent", enabled=False),
        ("only", "three", "parts"),
    )
    found = page()
    assert found.count('data-tone="bad">Not connected') == 3
    for text in ("doesn&#x27;t have a &#x27;Nothing&#x27; model", "is not a signal", "tests.shop.nowhere"):
        assert text in found, text
    assert "Connected, but switched off" in found
    assert "Entries of the settings that are no triggers" in found


def test_trigger_that_was_taken_off_its_signal_shows_that(declare: Declare) -> None:
    """dashboard-36: a host's own code can do it; the declaration is as good as ever"""
    declare(Trigger("User registered", signal=post_save, receiver="livereferrals.triggers.object_created", sender=User))
    assert 'data-tone="good">Connected' in page()
    (resolved,) = registry.connected()
    assert post_save.disconnect(sender=User, dispatch_uid=registry.UID + "User registered")
    assert not registry.hears(resolved)
    found = page()
    assert "has disconnected" in found
    assert "Not connected" in found


def test_name_that_nobody_declared_is_shown_too(declare: Declare) -> None:
    """dashboard-36: `complete_trigger` with a wrong name confirms nothing, and this is where it shows"""
    declare(PAID)
    TriggerCount.objects.create(trigger="Order payed", hour=timezone.now(), reason="unknown-trigger", count=4)
    found = page()
    assert "Order payed" in found
    assert "Not in the settings: it confirms nothing" in found
    assert metrics(found)["fired-2"] == "4"


def test_counts_are_of_seven_days(declare: Declare) -> None:
    """dashboard-36"""
    declare(PAID)
    for days, reason in ((1, "confirmed"), (6, "no-hits"), (9, "confirmed")):
        hour = timezone.now() - timedelta(days=days)
        TriggerCount.objects.create(trigger=PAID.name, hour=hour, reason=reason, count=2)
    assert metrics(page()) == {"fired-1": "4", "attributed-1": "2", "unattributed-1": "2", "failed-1": "0"}


def test_empty_states_say_the_next_step(declare: Declare) -> None:
    """dashboard-52"""
    declare()
    assert "No triggers yet" in page()
    declare(PAID)
    assert "It has not fired yet" in page()


def test_only_staff_with_the_permission_see_what_triggers_decided(declare: Declare) -> None:
    """dashboard-38: not a partner's login, and not other staff, neither page nor tab"""
    declare(PAID)
    partner = Client()
    user = make_user()
    make_partner(user=user)
    partner.force_login(user)
    other = Client()
    other.force_login(make_viewer("view_dashboard"))
    overview = reverse("livereferrals_dashboard:overview")
    for client in (partner, other):
        assert client.get(PAGE).status_code == 403
        assert client.get(TRY).status_code == 403
        assert PAGE not in client.get(overview).content.decode()
    assert PAGE in staff().get(overview).content.decode()
    assert Client().get(TRY).status_code == 302


def test_dry_run_needs_to_see_people_as_well(declare: Declare) -> None:
    """dashboard-36, dashboard-38: it tells which links somebody has followed"""
    declare(PAID)
    assert TRY not in page()
    assert staff().get(TRY).status_code == 403
    assert TRY in page("view_visitor")


def test_dry_run_says_what_attribution_would(declare: Declare) -> None:
    """dashboard-36: of a visitor's id, a login name or a user's id; with the reason for each hit"""
    declare(PAID)
    partner = make_partner(name="Acme")
    make_subscription(partner=partner, trigger=PAID.name)
    buyer = make_user(username="bea")
    visitor = make_visitor(user=buyer)
    make_hit(visitor=visitor, link=make_link(partner=partner, identifier="acme1"))
    make_hit(visitor=visitor, link=make_link(identifier="other1"))
    for who in (str(visitor.pk), "bea", str(buyer.pk)):
        found = ask(trigger=PAID.name, who=who)
        assert "A hit was credited." in found
        assert "acme1" in found
        assert "the partner is not subscribed" in found
    assert "No hit was credited: this person is not known to have followed a link." in ask(
        trigger=PAID.name, who=make_user().get_username()
    )


def test_dry_run_writes_nothing(declare: Declare) -> None:
    """dashboard-36: not a row, not an event, no firing; what stands is led to"""
    declare(PAID)
    buyer = make_user()
    hit = make_hit(visitor=make_visitor(user=buyer), link=make_link(owner="house"))
    stands = make_confirmation(hit=hit, trigger=PAID.name, reference="A-1", user=buyer)
    before = (Confirmation.objects.count(), ReferralHit.objects.get(pk=hit.pk).confirmed_at, Event.objects.count())
    client = staff("view_visitor")
    with CaptureQueriesContext(connection) as queries:
        found = ask(client, trigger=PAID.name, who=str(buyer.pk), reference="A-1")
    assert "this reference was confirmed before" in found
    assert str(stands.pk) in found
    assert not [each["sql"] for each in queries if each["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}]
    assert before == (
        Confirmation.objects.count(),
        ReferralHit.objects.get(pk=hit.pk).confirmed_at,
        Event.objects.count(),
    )
    assert recorder.flush() == 0
    assert client.post(TRY).status_code == 405


def bad_rule(hits: Any) -> Any:
    raise LookupError("the project's own mistake")


def test_dry_run_survives_what_people_and_rules_get_wrong(declare: Declare) -> None:
    """dashboard-36: nobody of that name, no such trigger, a NUL, a rule of the project's that raises"""
    declare(PAID, ATTRIBUTION=f"{__name__}.bad_rule", TRIGGER_ERRORS="raise")
    assert "There is no visitor and no user of this name or id." in ask(trigger=PAID.name, who="nobody")
    assert "There is no visitor" in ask(trigger=PAID.name, who="9" * 40)
    assert 'role="alert"' in ask(trigger="Nothing", who="nobody")
    assert 'role="alert"' in ask(trigger=PAID.name, who="a\x00b")
    buyer = make_user()
    make_hit(visitor=make_visitor(user=buyer), link=make_link(owner="house"))
    assert "A hit was credited." in ask(trigger=PAID.name, who=buyer.get_username())
