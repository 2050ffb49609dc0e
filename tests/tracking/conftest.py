"""The rows that the specification names, and browsers on both ways in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.factories import make_link, make_partner, make_subscription, make_user
from tests.tracking.browsers import KINDS, Browser

if TYPE_CHECKING:
    from collections.abc import Callable


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
