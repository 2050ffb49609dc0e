"""The rows that the specification names, and triggers declared for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from django.conf import settings as django_settings

from tests.factories import make_world
from tests.shop.triggers import TRIGGERS

if TYPE_CHECKING:
    from types import SimpleNamespace

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
    return make_world()
