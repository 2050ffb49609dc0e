"""What the feed's tests share: a running server of each kind, and a partner with its token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from livereferrals.events import log
from livereferrals.streaming import tokens
from tests.factories import make_entry, make_partner
from tests.servers import HostServer, host_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from livereferrals.events.models import Event
    from livereferrals.streaming.models import FeedToken
    from livereferrals.tracking.models import Partner

FAST_POLL_S = 0.05
"""The tests write from another process, without a channel layer: the server sees it when it looks."""
BEAT_WITHIN_S = 15.0
"""For heartbeats that are set to one second: much for a busy machine, and less than the twenty that nobody has set."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A partner and a token of its own."""

    partner: Partner
    row: FeedToken
    token: str

    def append(self, count: int = 1, **values: Any) -> list[Event]:
        """Commit events of this partner's, in one transaction."""
        return log.append_all([make_entry(**{"partner": self.partner.uid} | values) for _ in range(count)])


def make_reader(**overrides: Any) -> Reader:
    """Make a reader; `partner` and whatever `tokens.issue` takes may be given."""
    partner = overrides.pop("partner", None) or make_partner()
    values: dict[str, Any] = {"name": "tests", "partner": partner} | overrides
    row, token = tokens.issue(**values)
    return Reader(partner=partner, row=row, token=token)


@pytest.fixture
def reader(transactional_db: None) -> Reader:
    return make_reader()


SETTINGS = {"FEED_POLL_INTERVAL": FAST_POLL_S, "CALLBACKS": {"WORKER": "off"}}


@pytest.fixture(scope="module")
def daphne(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """One daphne for a module's tests; each test makes connections of its own."""
    with django_db_blocker.unblock(), host_server("daphne", LIVEREFERRALS=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def uvicorn(django_db_setup: None, django_db_blocker: Any) -> Iterator[HostServer]:
    """One uvicorn for a module's tests."""
    with django_db_blocker.unblock(), host_server("uvicorn", LIVEREFERRALS=SETTINGS) as running:
        yield running


@pytest.fixture(params=["daphne", "uvicorn"])
def server(request: pytest.FixtureRequest) -> HostServer:
    """Both kinds of server, one after the other."""
    running: HostServer = request.getfixturevalue(request.param)
    return running
