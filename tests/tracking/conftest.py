"""The rows that the specification names, and browsers on all ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from livereferrals.events.sequencer import number_events
from livereferrals.tracking.group_commit import HitGroup
from tests.factories import make_world
from tests.tracking.browsers import KINDS, Browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import SimpleNamespace


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """A way into the host project."""
    found: str = request.param
    return found


@pytest.fixture
def browser(kind: str) -> Browser:
    """A browser without cookies."""
    return Browser(kind)


@pytest.fixture
def new_browser(kind: str) -> Callable[[], Browser]:
    """Make further browsers on the same way in."""
    return lambda: Browser(kind)


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Partner P with `abc123`, partner Q with `qqq777`, Ann with `ann1`, and `house1`."""
    return make_world()


@pytest.fixture
def group() -> Iterator[HitGroup]:
    """A group of its own, whose threads end with the test."""
    made = HitGroup()
    yield made
    made.close()
    # So that the publisher's thread has nothing left to do when the test, and with it the database, is over.
    number_events()
