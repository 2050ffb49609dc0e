"""The rows that the specification names, and triggers declared for one test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from django.conf import settings as django_settings

from tests.factories import make_link, make_partner, make_subscription, make_user
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from pytest_django import Settings


class Declare(Protocol):
    """Declare triggers, and further keys of `LIVEREFERRALS`, until the test ends."""

    def __call__(self, *triggers: object, **keys: Any) -> None: ...


@pytest.fixture
def declare(settings: Settings) -> Declare:
    """See `Declare`."""

    def put(*triggers: object, **keys: Any) -> None:
        settings.LIVEREFERRALS = {**django_settings.LIVEREFERRALS, "TRIGGERS": list(triggers), **keys}

    return put


@pytest.fixture
def shop(declare: Declare) -> None:
    """The triggers "User registered" and "Order paid"; an error in a receiver fails the test."""
    declare(*TRIGGERS, TRIGGER_ERRORS="raise")


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Partner P with `abc123`, partner Q with `qqq777`, Ann with `ann1`, Bob, and `house1`; made before any trigger."""
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
