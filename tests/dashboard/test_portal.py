"""A partner's login at the dashboard: its own business, whole, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import reverse

from livereferrals.events import wire
from livereferrals.streaming import tokens
from livereferrals.tracking.models import Partner
from tests.dashboard import house, makers
from tests.factories import home_link, make_delivery, make_link, make_partner, make_subscription, make_user

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from tests.dashboard.house import House

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def get(user: User, name: str, *subject: object, **query: str) -> str:
    response = browser(user).get(reverse(f"livereferrals_dashboard:{name}", args=subject), query)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def world(settings: Any) -> House:
    return house.build(settings)


def test_numbers_are_of_the_own_partner_alone(world: House) -> None:
    """dashboard-38: no totals that would reveal others."""
    for name, subject in (("overview", ()), ("partner", (world.own.partner.uid,))):
        shown = makers.metrics(get(world.login, name, *subject))
        # Each partner's link was followed twice: by its own customer, and by the other's.
        assert (shown["hits"], shown["confirmations"]) == ("2", "0"), name
        assert shown["amount-EUR"] == "0.00"


def test_one_login_may_have_several_partners() -> None:
    """dashboard.md 5: linked to one or more partners"""
    user = make_user()
    for name in ("First", "Second"):
        makers.hit(make_link(partner=make_partner(name=name, user=user)))
    makers.hit()
    shown = get(user, "overview")
    assert makers.metrics(shown)["hits"] == "2"
    assert "First" in shown
    assert "Second" in shown


def test_people_are_called_as_in_the_feed(world: House) -> None:
    """dashboard-38: `u_...`, by the partner's own key"""
    called = wire.user_hash(str(world.own.shopper.pk), key=world.own.partner.user_key)
    assert called in get(world.login, "hits")
    assert called in get(world.login, "confirmation", world.own.confirmation.pk)


def test_trace_has_the_own_hits_alone(world: House) -> None:
    """A-11, dashboard-38: the other candidate was another partner's"""
    shown = get(world.login, "confirmation", world.own.confirmation.pk)
    assert shown.count('id="looked-') == 1
    assert world.own.link.identifier in shown


def test_links_can_be_copied_and_printed(world: House) -> None:
    """dashboard.md 5: the portal's links with copy buttons and QR code"""
    home = home_link(world.own.partner)
    shown = get(world.login, "link", home.pk)
    assert f'data-copy="/ref/{home.identifier}"' in shown
    picture = reverse("livereferrals_dashboard:link_picture", args=[home.pk])
    assert picture in shown
    assert browser(world.login).get(picture)["Content-Type"] == "image/svg+xml"


def test_subscriptions_deliveries_and_tokens_are_shown(world: House) -> None:
    """dashboard.md 5: its feed tokens, its subscriptions and their deliveries"""
    shown = get(world.login, "partner", world.own.partner.uid)
    for word in ("Order paid", "https://alderney.example/callback", "alderney pipe"):
        assert word in shown
    assert str(world.own.delivery.pk) in get(world.login, "deliveries")


def test_secrets_of_tokens_are_not_shown() -> None:
    """feed-10: only their beginning, which is none"""
    user = make_user()
    partner = make_partner(user=user)
    row, secret = tokens.issue(name="Pipe", partner=partner)
    shown = get(user, "partner", partner.uid)
    assert "Pipe" in shown
    assert secret not in shown
    assert row.secret_hash not in shown


def test_acts_are_not_offered(world: House) -> None:
    """dashboard-32: absent, whatever permissions the login has elsewhere"""
    world.login.user_permissions.set(makers.permissions("retry_delivery", "reverse_confirmation", "manage_tokens"))
    for name, subject in (
        ("delivery", world.own.delivery.pk),
        ("endpoint", world.own.delivery.subscription.uid),
        ("confirmation", world.own.confirmation.pk),
        ("partner", world.own.partner.uid),
    ):
        shown = get(world.login, name, subject)
        assert "/reverse/" not in shown
        assert "/retry/" not in shown
        assert "/pause/" not in shown
        # What stands in the bar is the way out.
        assert 'method="post"' not in shown.partition("<main")[2]
    url = reverse("livereferrals_dashboard:delivery_act", args=[world.own.delivery.pk, "retry"])
    assert browser(world.login).post(url).status_code == 403


def test_pause_by_staff_says_neither_who_nor_why(world: House) -> None:
    """dashboard-38: the reason is written for colleagues"""
    shown = get(world.login, "delivery", world.own.delivery.pk)
    assert "paused" in shown
    assert "warden" not in shown
    assert "note-of-colleagues" not in shown


def test_inspector_and_status_are_absent(world: House) -> None:
    """dashboard.md 5: no inspector, no status"""
    shown = get(world.login, "overview")
    for path in ("/referrals/status/", "/referrals/triggers/"):
        assert path not in shown


def test_filters_find_nothing_of_others(world: House) -> None:
    """dashboard-38: whatever is typed"""
    for name, query in (
        ("deliveries", {"partner": world.foreign.partner.uid}),
        ("deliveries", {"q": str(world.foreign.delivery.pk)}),
        ("deliveries", {"subscription": str(world.foreign.delivery.subscription.uid)}),
        ("confirmations", {"q": f"{world.foreign.word}-1"}),
        ("hits", {"q": str(world.foreign.confirmation.hit_id)}),
        ("hits", {"partner": world.foreign.partner.uid}),
        ("links", {"q": world.foreign.link.identifier}),
        ("partners", {"q": world.foreign.partner.name}),
        ("live_feed", {"q": world.foreign.word}),
    ):
        shown = get(world.login, name, **query)
        assert "<tr id=" not in shown.replace('<tr id="endpoint-', ""), (name, query)


def test_login_of_an_inactive_partner_is_told_so(world: House) -> None:
    """dashboard.md 5: as its feed is closed"""
    response = browser(world.idle_login).get("/referrals/")
    assert response.status_code == 403
    assert "Your partnership is not active just now." in response.content.decode()
    Partner.objects.filter(user=world.idle_login).update(active=True)
    assert browser(world.idle_login).get("/referrals/").status_code == 200


def test_staff_who_are_partners_too_see_everything(world: House) -> None:
    """dashboard.md 5: `view_dashboard` goes first"""
    world.login.user_permissions.set(makers.permissions("view_dashboard"))
    assert world.foreign.partner.name in get(world.login, "partners")


def test_user_without_partner_and_rights_sees_nothing() -> None:
    """dashboard.md 5"""
    assert browser(make_user()).get("/referrals/").status_code == 403


def test_empty_portal_leads_to_its_links() -> None:
    """dashboard-52: the next step of a partner is another than that of staff"""
    user = make_user()
    make_partner(user=user)
    shown = get(user, "overview")
    assert "Share one of your links" in shown
    assert "/admin/" not in shown


# --- what needs attention -------------------------------------------------------------------------------------------------


def a_dead_server(**partner: Any) -> None:
    subscription = make_subscription(partner=make_partner(**partner))
    make_delivery(subscription=subscription)
    subscription.endpoint.state = "disabled"
    subscription.endpoint.save()


def test_overview_says_which_deliveries_need_somebody() -> None:
    """dashboard.md 2: and leads there"""
    a_dead_server(name="Acme")
    staff = makers.make_viewer("view_dashboard", "view_subscription", "view_delivery")
    shown = get(staff, "overview")
    start = shown.index("Needs attention")
    assert "Acme" in shown[start : start + 500]
    assert "/referrals/deliveries/endpoints/" in shown[start : start + 500]
    assert "Needs attention" not in get(makers.make_viewer(), "overview")


def test_portal_is_told_of_its_own_server_alone() -> None:
    """dashboard-38"""
    user = make_user()
    make_partner(user=user)
    a_dead_server(name="Foreign")
    assert "Needs attention" not in get(user, "overview")
    a_dead_server(name="Own", user=user)
    assert "Needs attention" in get(user, "overview")
