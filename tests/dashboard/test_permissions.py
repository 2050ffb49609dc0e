"""Every URL and every live view of the dashboard, tried as every kind of user: nobody sees more than their share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.urls import reverse

from livereferrals.dashboard import catalogue, urls
from tests.dashboard import house
from tests.dashboard.house import GUESTS, Guest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.dashboard.house import House, Side

pytestmark = pytest.mark.once

NAMESPACE = "livereferrals_dashboard"
ACTS_OF_DELIVERIES = ("retry", "resend", "cancel")
OF_ACTS = {
    "test": "send_test_callback",
    "pause": "hold_endpoint",
    "enable": "hold_endpoint",
    "replay": "retry_delivery",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who may see one address."""

    needs: tuple[str, ...] = ()
    """All of these codenames."""
    either: tuple[str, ...] = ()
    """One of these, where there are any."""
    portal: bool = True
    """Whether a partner's login may, of what is its own."""
    about: str = ""
    """The kind of thing that it is about."""
    act: str = ""
    ok: int = 200

    def allows(self, guest: Guest) -> bool:
        if guest.is_partner:
            return self.portal
        enough = not self.either or not guest.codenames.isdisjoint(self.either)
        return guest.sees and enough and guest.codenames.issuperset(self.needs)


EXPORT = "export_referrals"
RULES: dict[str, tuple[Rule, ...]] = {
    "overview": (Rule(),),
    "live_feed": (Rule(),),
    "partners": (Rule(),),
    "partners_export": (Rule(needs=(EXPORT,)),),
    "partner": (Rule(about="partner"),),
    "links": (Rule(),),
    "links_export": (Rule(needs=(EXPORT,)),),
    "link": (Rule(about="link"),),
    "link_picture": (Rule(about="link"),),
    "link_trial": (Rule(about="link", ok=302),),
    "hits": (Rule(),),
    "hits_export": (Rule(needs=(EXPORT,)),),
    "visitor": (Rule(about="visitor", needs=("view_visitor",), portal=False),),
    "confirmations": (Rule(),),
    "confirmations_export": (Rule(needs=(EXPORT,)),),
    "confirmation": (Rule(about="confirmation"),),
    "confirmation_reverse": (Rule(about="confirmation", needs=("reverse_confirmation",), portal=False),),
    "deliveries": (Rule(needs=("view_delivery",)),),
    "deliveries_export": (Rule(needs=("view_delivery", EXPORT)),),
    "delivery": (Rule(about="delivery", needs=("view_delivery",)),),
    "delivery_act": tuple(
        Rule(about="delivery", needs=("view_delivery", "retry_delivery"), act=act, portal=False)
        for act in ACTS_OF_DELIVERIES
    ),
    "endpoint": (Rule(about="endpoint", needs=("view_delivery",)),),
    "endpoint_act": tuple(
        Rule(about="endpoint", needs=("view_delivery", codename), act=act, portal=False)
        for act, codename in OF_ACTS.items()
    ),
    "tokens": (Rule(either=("view_feedtoken", "manage_tokens")),),
    "token_new": (Rule(needs=("manage_tokens",), portal=False),),
    "token_rotate": (Rule(about="token", needs=("manage_tokens",), portal=False),),
    "token_revoke": (Rule(about="token", needs=("manage_tokens",), portal=False),),
    "triggers": (Rule(needs=("view_triggerfiring",), portal=False),),
    "dry_run": (Rule(needs=("view_triggerfiring", "view_visitor"), portal=False),),
    "status": (Rule(portal=False),),
    "status_json": (Rule(portal=False),),
}
"""A URL that is not here fails its test: say who may see it."""
WITH_TOKENS = {"feed-sse", "feed-poll", "feed-ticket"}
"""Opened by feed tokens alone, whoever is signed in."""


def address(name: str, rule: Rule, side: Side) -> str:
    arguments = [side.subject(rule.about)] if rule.about else []
    return reverse(f"{NAMESPACE}:{name}", args=[*arguments, *([rule.act] if rule.act else [])])


def leaks(received: str, words: Iterable[str]) -> list[str]:
    return sorted(word for word in words if word in received)


def content_of(response: Any) -> str:
    body = b"".join(response) if response.streaming else response.content
    return f"{body.decode()}{response.headers}"


def test_every_url_has_a_rule() -> None:
    """dashboard-38: nothing is added without saying who may see it."""
    assert {pattern.name for pattern in urls.urlpatterns} == set(RULES) | WITH_TOKENS
    assert {page.name for page in catalogue.PAGES} <= set(RULES)


@pytest.fixture
def world(db: None, settings: Any) -> House:
    return house.build(settings)


def test_words_that_are_searched_for_are_there_for_somebody(world: House) -> None:
    """dashboard-38, dashboard-39, dashboard-40: what nobody can read cannot leak."""
    client = Client()
    client.force_login(GUESTS["superuser"].user(world, "superuser"))  # type: ignore[arg-type] # not anonymous
    received = "".join(
        content_of(client.get(address(name, rule, side)))
        for name, rules in RULES.items()
        for rule in rules
        for side in ((world.own, world.foreign) if rule.about else (world.own,))
    )
    wanted = world.own.words | world.foreign.words | world.words | set(house.OF_STAFF)
    wanted |= {world.own.shopper.username, world.foreign.shopper.username}
    assert {word for word in wanted if word not in received} == set()
    assert house.AMOUNT in received


@pytest.mark.parametrize("name", GUESTS)
def test_every_url_answers_each_kind_of_user_with_its_share(world: House, name: str) -> None:
    """dashboard-38, dashboard-39, dashboard-40"""
    guest = GUESTS[name]
    user = guest.user(world, name)
    client = Client()
    if user.is_authenticated:
        client.force_login(user)
    forbidden = guest.may_not_read(world)
    wrong: list[tuple[str, object]] = []
    for url_name, rules in RULES.items():
        for rule in rules:
            for side in (world.own, world.foreign) if rule.about else (world.own,):
                url = address(url_name, rule, side)
                response = client.get(url)
                wanted = status(rule, guest, signed_in=user.is_authenticated, foreign=side is world.foreign)
                if response.status_code not in wanted:
                    wrong.append((url, response.status_code))
                # The address that was asked for comes back in the way to the sign-in, and in our own forms.
                asked = {word for word in forbidden if word in url}
                wrong += [(url, word) for word in leaks(content_of(response), forbidden - asked)]
    assert wrong == []


def status(rule: Rule, guest: Guest, *, signed_in: bool, foreign: bool) -> set[int]:
    if not signed_in:
        return {302, 401}
    if not rule.allows(guest):
        return {403}
    return {404} if foreign and guest.is_partner else {rule.ok}


@pytest.mark.parametrize("name", ["anonymous", "view_dashboard", "login of a partner"])
def test_acts_by_hand_are_refused(world: House, name: str) -> None:
    """dashboard-32: a form that is not shown can be sent all the same."""
    guest = GUESTS[name]
    client = Client()
    if (user := guest.user(world, name)).is_authenticated:
        client.force_login(user)
    for url_name, rules in RULES.items():
        for rule in rules:
            url = address(url_name, rule, world.own)
            if rule.act or url_name.endswith(("_reverse", "_new", "_rotate", "_revoke")):
                assert client.post(url).status_code == (403 if user.is_authenticated else 302), url
            else:
                assert client.post(url).status_code in {302, 403, 405}, url


@pytest.mark.parametrize("name", sorted(WITH_TOKENS))
def test_feed_knows_tokens_and_no_sessions(world: House, name: str) -> None:
    """dashboard-38: being signed in opens no feed."""
    client = Client()
    client.force_login(GUESTS["superuser"].user(world, "superuser"))  # type: ignore[arg-type] # not anonymous
    url = reverse(f"{NAMESPACE}:{name}")
    assert {client.get(url).status_code, client.post(url).status_code} <= {401, 405, 501}
