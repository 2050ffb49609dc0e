"""The stage of the story: the partner's server may be called, and the database has its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection

from tests.integration.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import Settings

    from tests.servers import PartnerSink


@pytest.fixture
def stage(transactional_db: None, settings: Settings, sink: PartnerSink) -> Iterator[Stage]:
    settings.LIVEREFERRALS = {"TRIGGERS": [], "CALLBACKS": {"WORKER": "off", "ALLOW": ["127.0.0.0/8:*"]}}
    yield Stage.set_up(sink)
    sink.release()


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """A channel layer on Valkey beside PostgreSQL, none beside SQLite: the two set-ups of the documentation."""
    if connection.vendor != "postgresql":
        return None
    url: str = request.getfixturevalue("valkey_url")
    return url
