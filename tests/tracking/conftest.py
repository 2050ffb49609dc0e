"""The rows that the specification names, and browsers on all ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.factories import make_world
from tests.tracking.browsers import KINDS, Browser

if TYPE_CHECKING:
    from collections.abc import Callable
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
