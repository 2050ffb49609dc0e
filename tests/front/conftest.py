"""The rows that the specification names, where the front is looked at from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.factories import make_world

if TYPE_CHECKING:
    from types import SimpleNamespace


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Partner P with `abc123`, partner Q with `qqq777`, Ann with `ann1`, and `house1`."""
    return make_world()
