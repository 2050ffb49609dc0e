"""A house with two partners, in which every secret has words that are nowhere else, and everybody who may come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser, Permission
from django.utils import timezone

from livereferrals import api
from livereferrals.callbacks import holding
from livereferrals.callbacks.models import Delivery, DeliveryAttempt
from livereferrals.dashboard.access import CODENAMES, PARTNERS_OWN, VIEW_DASHBOARD
from livereferrals.events import sequencer
from livereferrals.streaming import tokens
from livereferrals.triggers import Trigger
from tests.dashboard import row_numbers
from tests.factories import make_link, make_partner, make_staff, make_subscription, make_user

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from livereferrals.tracking.models import Confirmation, Partner, ReferralLink, Visitor

ORDERS = Trigger(
    "Order paid",
    signal="tests.shop.signals.order_paid",
    receiver="livereferrals.triggers.signal_sent",
    sender="shop.Order",
)
AMOUNT = "4,321.98"
AMOUNTS = (AMOUNT, "4321.98", "4321980000", "EUR")
OF_STAFF = ("warden@example.org", "note-of-colleagues", "note-on-a-reversal")
OF_PEOPLE = ("203.0.113.", "link-owner@example.org", "Mozilla/5.0 (Secret")


@dataclass(kw_only=True)
class Side:
    """One partner and what belongs to it."""

    word: str
    """In every name and address of it, and nowhere else."""
    partner: Partner
    link: ReferralLink
    shopper: User
    visitor: Visitor
    confirmation: Confirmation
    delivery: Delivery
    token: str

    def subject(self, kind: str) -> object:
        """Return what a page of this kind is about."""
        return {
            "partner": self.partner.uid,
            "link": self.link.pk,
            "visitor": self.visitor.pk,
            "confirmation": self.confirmation.pk,
            "delivery": self.delivery.pk,
            "endpoint": self.delivery.subscription.uid,
            "token": self.token,
        }[kind]

    @property
    def words(self) -> set[str]:
        """What only somebody who sees this side may read."""
        ids = {str(self.partner.uid), str(self.link.pk), str(self.confirmation.pk), str(self.delivery.pk)}
        return {self.word, self.token, str(self.visitor.pk), str(self.confirmation.hit_id), *ids}

    @property
    def people(self) -> set[str]:
        """Who its customers are; not even the partner reads that."""
        return {self.shopper.username, self.shopper.email}


@dataclass(kw_only=True)
class House:
    """The whole."""

    own: Side
    foreign: Side
    login: User
    """The login of `own`'s partner."""
    idle_login: User
    """The login of a partner that is inactive."""
    words: set[str] = field(default_factory=lambda: {"houselink", "userlink", "Housepipe"})
    """What belongs to no partner."""
    row_numbers: set[str] = field(default_factory=row_numbers.used)
    """What the database numbers its rows by, in every form; read when it is built."""


def build(settings: Any) -> House:
    """Make it: real hits, a real confirmation of each partner with its trace over both, deliveries, tokens, notes."""
    settings.LIVEREFERRALS = {**settings.LIVEREFERRALS, "TRIGGERS": [ORDERS]}
    row_numbers.begin()
    login, idle = make_user(username="ownlogin"), make_user(username="idlelogin")
    warden = make_staff(username="warden@example.org")
    sides = {word: _partner(word, user=login if word == "alderney" else None) for word in ("alderney", "borealis")}
    make_partner(name="Calypso", active=False, user=idle)
    house = make_link(owner="house", identifier="houselink")
    users = make_link(user=make_user(username="link-owner@example.org"), identifier="userlink")
    tokens.issue(name="Housepipe")
    for link in (house, users):
        api.record_hit(link)
    whole = {word: _happens(word, *sides.values(), credited=sides[word], warden=warden) for word in sides}
    # A test that runs inside a transaction has no commit that would number them.
    sequencer.number_events()
    return House(own=whole["alderney"], foreign=whole["borealis"], login=login, idle_login=idle)


def _partner(word: str, *, user: User | None) -> ReferralLink:
    partner = make_partner(name=f"{word} ltd", uid=word, user=user, notes="note-of-colleagues")
    make_subscription(partner=partner, callback_url=f"https://{word}.example/callback")
    tokens.issue(name=f"{word} pipe", partner=partner)
    return make_link(partner=partner, identifier=f"{word}link")


def _happens(word: str, *links: ReferralLink, credited: ReferralLink, warden: User) -> Side:
    """Somebody follows both links, the credited one last, and buys; staff take a part back and pause the server."""
    shopper = make_user(username=f"shopper-of-{word}x", email=f"mail-of-{word}x@example.org")
    first = api.record_hit(next(link for link in links if link != credited), user=shopper)
    visitor = first.visitor
    assert visitor is not None
    api.record_hit(
        credited,
        visitor=visitor,
        user=shopper,
        ip="203.0.113.77",
        user_agent="Mozilla/5.0 (Secret)",
        entry_url=f"/landing-{word}/",
        referer=f"https://{word}.example/",
    )
    result = api.confirm("Order paid", user=shopper, reference=f"{word}-1", amount="4321.98", currency="EUR")
    assert result.confirmation is not None
    api.reverse(result.confirmation, reason="refund", note="note-on-a-reversal", amount="4321.98", by=warden)
    delivery = Delivery.objects.filter(confirmation=result.confirmation).earliest("pk")
    _attempt(delivery, visitor)
    assert credited.partner is not None
    holding.pause(delivery.subscription, by=warden, reason="note-of-colleagues")
    return Side(
        word=word,
        partner=credited.partner,
        link=credited,
        shopper=shopper,
        visitor=visitor,
        confirmation=result.confirmation,
        delivery=delivery,
        token=credited.partner.feed_tokens.get().pk,
    )


def _attempt(delivery: Delivery, visitor: Visitor) -> None:
    DeliveryAttempt.objects.create(
        delivery=delivery,
        number=1,
        started_at=timezone.now(),
        outcome="server_error",
        status=500,
        request_url=f"{delivery.subscription.callback_url}?amount=4321.98&visitor={visitor.pk}",
        request_excerpt='{"amount": "4321.98", "currency": "EUR"}',
        response_excerpt=f"no: 4321.98 EUR of {visitor.pk}",
    )


# --- who may come -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A kind of user."""

    sees: bool
    """Whether there is any page."""
    codenames: frozenset[str] = frozenset()
    is_partner: bool = False

    def user(self, house: House, name: str) -> User | AnonymousUser:
        """Return somebody of this kind."""
        if name == "anonymous":
            return AnonymousUser()
        if name.startswith("login of"):
            return house.login if self.is_partner else house.idle_login
        user = make_user(
            username=f"guest-{name.replace(' ', '-')}", is_staff="flag" in name, is_superuser=name == "superuser"
        )
        granted = set(self.codenames) | ({VIEW_DASHBOARD} if self.sees else set())
        if name == "everything but view_dashboard":
            granted = set(CODENAMES)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=granted, content_type__app_label="livereferrals")
        )
        return user

    def may_not_read(self, house: House) -> set[str]:
        """Return the words that may be in no byte that such a user receives."""
        everything = house.own.words | house.foreign.words | house.words | {*AMOUNTS, *OF_STAFF, *OF_PEOPLE}
        people = house.own.people | house.foreign.people | set(OF_PEOPLE)
        if not self.sees:
            return everything | people
        if self.is_partner:
            return house.foreign.words | house.words | people | set(OF_STAFF) | house.row_numbers
        visitors = {str(side.visitor.pk) for side in (house.own, house.foreign)}
        hidden: set[str] = set()
        if "view_amounts" not in self.codenames:
            hidden |= set(AMOUNTS)
        if "view_visitor" not in self.codenames:
            hidden |= people | visitors
        return hidden


GUESTS: dict[str, Guest] = {
    "anonymous": Guest(sees=False),
    "without rights": Guest(sees=False),
    "staff flag alone": Guest(sees=False),
    "everything but view_dashboard": Guest(sees=False),
    "login of an inactive partner": Guest(sees=False),
    "login of a partner": Guest(sees=True, codenames=PARTNERS_OWN, is_partner=True),
    "view_dashboard": Guest(sees=True),
    **{name: Guest(sees=True, codenames=frozenset({name})) for name in CODENAMES},
    "answers": Guest(sees=True, codenames=frozenset({"view_delivery", "view_deliveryattempt", "view_subscription"})),
    "exports": Guest(sees=True, codenames=frozenset({"export_referrals", "view_delivery"})),
    "reversals": Guest(sees=True, codenames=frozenset({"reverse_confirmation", "view_delivery"})),
    "everything": Guest(sees=True, codenames=frozenset(CODENAMES)),
    "superuser": Guest(sees=True, codenames=frozenset(CODENAMES)),
}
