"""Plain functions that leave valid rows: `make_partner(name="Acme")`."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from livereferrals.callbacks.models import Delivery, Replay, Subscription
from livereferrals.events import log, sequencer
from livereferrals.events.models import Event, EventType
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Visitor
from tests.shop.models import Order

PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)


def next_number() -> int:
    """Return a number that no other call in this process has got."""
    return next(_numbers)


def make_user(**overrides: Any) -> User:
    """Make a user whose password is `PASSWORD`."""
    values = {"username": f"user{next_number()}", "password": PASSWORD} | overrides
    return User.objects.create_user(**values)


def make_staff(**overrides: Any) -> User:
    """Make a superuser whose password is `PASSWORD`."""
    return make_user(**{"is_staff": True, "is_superuser": True} | overrides)


def make_partner(**overrides: Any) -> Partner:
    """Make an active partner; it comes with its home link."""
    return Partner.objects.create(**{"name": f"Partner {next_number()}", "active": True} | overrides)


def home_link(partner: Partner) -> ReferralLink:
    """Return the link that a partner is made with."""
    return partner.links.get(home=True)


def make_link(**overrides: Any) -> ReferralLink:
    """Make a link of a new partner; give `partner`, `user` or `owner="house"` for another one."""
    if not {"partner", "user", "owner"} & overrides.keys():
        overrides["partner"] = make_partner()
    return ReferralLink.objects.create(**{"identifier": f"link{next_number()}"} | overrides)


def make_visitor(**overrides: Any) -> Visitor:
    """Make a visitor; with a `user` it is claimed."""
    if overrides.get("user") is not None:
        overrides.setdefault("claimed_at", timezone.now())
    return Visitor.objects.create(**overrides)


def make_hit(**overrides: Any) -> ReferralHit:
    """Make a hit, without its event, of a new link by a new visitor; the visitor's user is its user."""
    values: dict[str, Any] = dict(overrides)
    if "link" not in values:
        values["link"] = make_link()
    if "visitor" not in values:
        values["visitor"] = make_visitor(user=values.get("user"))
    values.setdefault("partner", values["link"].partner)
    values.setdefault("user", values["visitor"].user if values["visitor"] is not None else None)
    values.setdefault("created_at", timezone.now())
    return ReferralHit.objects.create(**values)


def make_confirmation(**overrides: Any) -> Confirmation:
    """Make a confirmation, without its event and deliveries, of a new hit; `amount` and `currency` make a sum."""
    values: dict[str, Any] = dict(overrides)
    if "hit" not in values:
        values["hit"] = make_hit()
    hit: ReferralHit = values["hit"]
    if (amount := values.pop("amount", None)) is not None:
        values["amount_micros"] = int(Decimal(amount) * 1_000_000)
        values.setdefault("currency", "EUR")
    defaults: dict[str, Any] = {
        "trigger": "Order paid",
        "partner": hit.partner,
        "visitor": hit.visitor,
        "user": hit.user,
        "occurred_at": timezone.now(),
        "rule": "last_click",
    }
    return Confirmation.objects.create(**defaults | values)


def make_subscription(**overrides: Any) -> Subscription:
    """Make a subscription of a new partner to "Order paid"; it comes with its endpoint and signing secret."""
    values: dict[str, Any] = dict(overrides)
    if "partner" not in values:
        values["partner"] = make_partner()
    defaults = {"trigger": "Order paid", "callback_url": "https://partner.example/callback"}
    return Subscription.objects.create(**defaults | values)


def make_delivery(**overrides: Any) -> Delivery:
    """Make a waiting delivery, due now, of a new confirmation to a new subscription of the same partner."""
    values: dict[str, Any] = dict(overrides)
    if "subscription" not in values:
        confirmation = values.get("confirmation")
        values["subscription"] = make_subscription(**({"partner": confirmation.partner} if confirmation else {}))
    if "confirmation" not in values:
        link = make_link(partner=values["subscription"].partner)
        values["confirmation"] = make_confirmation(hit=make_hit(link=link), trigger=values["subscription"].trigger)
    now = timezone.now()
    return Delivery.objects.create(**{"due_at": now, "created_at": now} | values)


def make_replay(**overrides: Any) -> Replay:
    """Make a running replay of the last hour of a new subscription."""
    values: dict[str, Any] = dict(overrides)
    if "subscription" not in values:
        values["subscription"] = make_subscription()
    now = timezone.now()
    defaults = {
        "since": now - timedelta(hours=1),
        "until": now,
        "per_second": 10,
        "counted": 0,
        "stepped_at": now,
        "created_at": now,
    }
    return Replay.objects.create(**defaults | values)


def make_entry(**overrides: Any) -> log.Entry:
    """Make an entry for the log; a `partner` may be given as a row or as its uid."""
    values: dict[str, Any] = {"type": EventType.HIT, "occurred_at": timezone.now(), "data": {}} | overrides
    if isinstance(values.get("partner"), Partner):
        values["partner"] = values["partner"].uid
    return log.Entry(**values)


def make_event(**overrides: Any) -> Event:
    """Append one event to the log, number it (also inside a test's transaction, which never commits) and return it."""
    event = log.append(make_entry(**overrides))
    sequencer.number_events()
    event.refresh_from_db()
    return event


def make_order(**overrides: Any) -> Order:
    """Make an unpaid order of the host's shop."""
    return Order.objects.create(**{"number": f"A-{next_number()}", "total": Decimal("12.50")} | overrides)


def make_world() -> SimpleNamespace:
    """Make what the cases assume: partner P with `abc123`, partner Q with `qqq777`, Ann with `ann1`, Bob, and `house1`."""
    p, q = make_partner(uid="moox6esi", name="P"), make_partner(uid="zk41pp0q", name="Q")
    for trigger in ("User registered", "Order paid"):
        make_subscription(partner=p, trigger=trigger)
    make_subscription(partner=q, trigger="User registered")
    ann = make_user(username="ann")
    return SimpleNamespace(
        p=p,
        q=q,
        ann=ann,
        bob=make_user(username="bob"),
        abc123=make_link(identifier="abc123", partner=p),
        qqq777=make_link(identifier="qqq777", partner=q),
        ann1=make_link(identifier="ann1", user=ann),
        house1=make_link(identifier="house1", owner="house"),
    )
