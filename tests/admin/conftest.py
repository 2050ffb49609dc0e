"""What the tests of the admin share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.factories import make_staff

if TYPE_CHECKING:
    from django.test import Client


@pytest.fixture
def staff(client: Client) -> Client:
    """A browser in which somebody who may do everything is logged in."""
    client.force_login(make_staff())
    return client
