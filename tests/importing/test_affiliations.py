"""`import-affiliations` takes over partners, subscriptions, visitors and their successes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError
from django.test import Client

from livereferrals.callbacks import attention
from livereferrals.callbacks.models import Delivery, EndpointState, Subscription
from livereferrals.dashboard.models import DailyPartnerTotal
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, Origin, Partner, ReferralHit, ReferralLink, Visitor
from tests.factories import make_link, make_staff, make_user
from tests.importing.commands import import_affiliations
from tests.importing.old_tables import AFFILIATIONS, BEGAN, create, old_partner, old_subscription, old_visitor

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(db: None) -> None:
    create(AFFILIATIONS)


@pytest.fixture
def ann() -> Any:
    return make_user()


def test_partners_keep_uid_name_and_state_and_get_their_link(old: None) -> None:
    """I-09, L-08"""
    old_partner()
    old_partner(uid="zk41pp0q", name="n" * 250, active=False)
    assert "affiliations_partner -> partners, each with its home link: 2 read = 2 imported" in import_affiliations()
    acme, other = Partner.objects.get(uid="moox6esi"), Partner.objects.get(uid="zk41pp0q")
    assert (acme.name, acme.active, other.active) == ("Acme", True, False)
    assert other.name == "n" * 200
    assert acme.links.get(home=True).identifier == "moox6esi"
    assert Client().get("/ref/moox6esi").status_code == 302
    assert ReferralHit.objects.get().partner == acme


def test_subscriptions_are_kept_and_use_get(old: None) -> None:
    """I-09: with all that a subscription needs to be called"""
    old_subscription(old_partner())
    import_affiliations()
    subscription = Subscription.objects.get()
    assert (subscription.trigger, subscription.method) == ("User registered", "GET")
    assert subscription.callback_url == "https://partner.example/?v={visitor_id}"
    assert subscription.endpoint.state == EndpointState.ACTIVE
    assert subscription.secrets.count() == 1


def test_subscriptions_twice_to_one_trigger_are_joined(old: None) -> None:
    """I-09: the older package used the first"""
    partner = old_partner()
    first = old_subscription(partner)
    second = old_subscription(partner, callback_url="https://partner.example/other?v={visitor_id}")
    old_subscription(partner, trigger="Order paid")
    out = import_affiliations()
    assert f"affiliations_subscription {second}: skipped: joined with {first}, of the same partner and trigger" in out
    assert "affiliations_subscription -> subscriptions: 3 read = 2 imported + 0 already there + 1 skipped" in out
    assert Subscription.objects.get(trigger="User registered").callback_url == "https://partner.example/?v={visitor_id}"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://partner.example/?v={visitor_id}", "must begin with https://"),
        ("https://10.0.0.1/?v={visitor_id}", "cannot be called"),
        ("https://partner.example/?v={visitor_id.__class__}", ""),
        ("https://partner.example/?v={visitor_id", ""),
    ],
    ids=["plain", "private", "attribute", "unclosed"],
)
def test_callback_url_that_would_be_refused_is_imported_disabled(old: None, url: str, why: str) -> None:
    """I-09: and listed; nobody is mailed, and staff see why"""
    pk = old_subscription(old_partner(), callback_url=url)
    out = import_affiliations()
    assert f"affiliations_subscription {pk}: its endpoint is disabled: " in out
    assert f"1 x its callback URL would be refused today; its endpoint is disabled: {pk}" in out
    subscription = Subscription.objects.select_related("endpoint").get()
    assert subscription.callback_url == url
    assert subscription.endpoint.state == EndpointState.DISABLED
    assert why in subscription.endpoint.state_reason
    (need,) = attention.needs(now=BEGAN)
    assert (need.cause, need.detail) == ("blocked", subscription.endpoint.state_reason)


def test_visitors_keep_their_number_and_have_one_hit(old: None, ann: Any) -> None:
    """I-10"""
    pk = old_visitor(old_partner(), ann.pk)
    import_affiliations()
    visitor = Visitor.objects.get(legacy_id=pk)
    at = BEGAN + timedelta(hours=2)
    assert (visitor.user, visitor.claimed_at, visitor.created_at) == (ann, at, at)
    hit = visitor.hits.get()
    assert (hit.entry_url, hit.created_at, hit.user, hit.origin) == ("/landing/?b=1", at, ann, Origin.IMPORT)
    assert (hit.partner, hit.link) == (Partner.objects.get(), ReferralLink.objects.get(home=True))
    day = DailyPartnerTotal.objects.get(partner="moox6esi")
    assert (day.day, day.hits) == (at.date(), 1)


def test_old_number_is_found_in_the_admin(old: None, ann: Any) -> None:
    """I-10: partners know it from callbacks"""
    partner = old_partner()
    old_visitor(partner, ann.pk, id=104711)
    old_visitor(partner, ann.pk, id=104712)
    import_affiliations()
    client = Client()
    client.force_login(make_staff())
    page = client.get("/admin/livereferrals/visitor/", {"q": "104711"}).content.decode()
    found = {str(visitor.legacy_id): str(visitor.pk) in page for visitor in Visitor.objects.all()}
    assert found == {"104711": True, "104712": False}


def test_success_confirms_the_only_subscription(old: None, ann: Any) -> None:
    """I-11"""
    partner = old_partner()
    old_subscription(partner)
    old_subscription(partner)
    at = BEGAN + timedelta(days=1)
    old_visitor(partner, ann.pk, successful_on=at)
    import_affiliations()
    confirmation = Confirmation.objects.get()
    assert (confirmation.trigger, confirmation.occurred_at, confirmation.origin) == ("User registered", at, "import")
    assert (confirmation.user, confirmation.partner, confirmation.reference) == (ann, Partner.objects.get(), None)
    assert confirmation.hit.confirmed_at == at
    assert DailyPartnerTotal.objects.get(trigger="User registered").confirmations == 1


@pytest.mark.parametrize("triggers", [[], ["User registered", "Order paid"]], ids=["none", "two"])
def test_success_of_a_partner_with_no_or_several_subscriptions(old: None, ann: Any, triggers: list[str]) -> None:
    """I-11: "Imported", or what is named"""
    partner = old_partner()
    for trigger in triggers:
        old_subscription(partner, trigger=trigger)
    old_visitor(partner, ann.pk, successful_on=BEGAN + timedelta(days=1))
    import_affiliations()
    assert Confirmation.objects.get().trigger == "Imported"


def test_nobody_is_called(old: None, ann: Any) -> None:
    """I-12: no event, no delivery"""
    partner = old_partner()
    old_subscription(partner)
    old_visitor(partner, ann.pk, successful_on=BEGAN + timedelta(days=1))
    import_affiliations()
    assert Confirmation.objects.count() == 1
    assert not any(model._default_manager.exists() for model in (Event, Delivery))


def test_partner_whose_uid_is_taken_is_skipped_with_its_rows(old: None, ann: Any) -> None:
    """I-05, I-09"""
    make_link(identifier="moox6esi")
    partner = old_partner()
    subscription, visitor = old_subscription(partner), old_visitor(partner, ann.pk, successful_on=BEGAN)
    out = import_affiliations()
    assert f"affiliations_partner {partner}: skipped: its uid 'moox6esi' is the identifier of another link" in out
    assert f"affiliations_subscription {subscription}: skipped: its partner {partner} is not imported" in out
    assert f"affiliations_visitor {visitor}: skipped: its partner {partner} is not imported" in out
    assert f"affiliations_visitor.successful_on {visitor}: skipped: the hit is not imported" in out
    assert not Subscription.objects.exists()


def test_second_run_adds_nothing(old: None, ann: Any) -> None:
    """I-02: nor does it bring back what was archived"""
    partner = old_partner()
    old_subscription(partner)
    old_visitor(partner, ann.pk, successful_on=BEGAN + timedelta(days=1))
    import_affiliations()
    Subscription.objects.update(archived_at=BEGAN)
    totals = list(DailyPartnerTotal.objects.values_list("day", "trigger", "hits", "confirmations"))
    out = import_affiliations()
    assert "Nothing was added." in out
    assert "visitors, each with its hit: 1 read = 0 imported + 1 already there + 0 skipped" in out
    for model in (Partner, ReferralLink, Subscription, Visitor, ReferralHit, Confirmation):
        assert model._default_manager.count() == 1
    assert list(DailyPartnerTotal.objects.values_list("day", "trigger", "hits", "confirmations")) == totals


def test_dry_run_says_the_same(old: None, ann: Any) -> None:
    """I-03"""
    make_link(identifier="taken")
    good, bad = old_partner(), old_partner(uid="taken")
    for partner in (good, bad):
        old_subscription(partner, callback_url="http://partner.example/?v={visitor_id}")
        old_visitor(partner, ann.pk, successful_on=BEGAN + timedelta(days=1))
    partners = Partner.objects.count()
    dry = import_affiliations("--dry-run", "--quiet")
    assert Partner.objects.count() == partners
    assert not any(model._default_manager.exists() for model in (Subscription, Visitor, ReferralHit, Confirmation))
    real = import_affiliations("--quiet")
    assert dry.replace("to import", "imported").replace("Nothing was written.\n", "") == real


def test_user_who_is_gone_is_left_out(old: None, ann: Any) -> None:
    """I-13"""
    pk = old_visitor(old_partner(), ann.pk)
    ann.delete()
    assert f"1 x its user does not exist any more: {pk}" in import_affiliations()
    visitor = Visitor.objects.get()
    assert (visitor.user, visitor.claimed_at, visitor.hits.get().authenticated) == (None, None, True)


def test_old_session_finds_the_imported_visitor(old: None, ann: Any, settings: Settings) -> None:
    """I-10, V-08: the session holds the old number"""
    pk = old_visitor(old_partner(), ann.pk)
    import_affiliations()
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"VISITOR_CARRIER": "session"}
    client = Client()
    client.force_login(ann)
    session = client.session
    session["affiliate_visitor_id"] = pk
    session.save()
    client.get("/ref/moox6esi")
    assert Visitor.objects.get().hits.count() == 2


def test_tables_that_are_not_there_are_named(db: None) -> None:
    """I-01"""
    with pytest.raises(CommandError, match=r"no tables of django-affiliate-tracking 0\.12"):
        import_affiliations()
