"""The conformance suite of the feed, for any server: `pytest tests/conformance --base-url URL --token TOKEN`.

Without a base URL it starts our own servers: a daphne to read from and a uvicorn that serves the same log. What the suite
needs of a server besides reading is its driver's to do, see `tests.conformance.driver`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.utils.module_loading import import_string

from tests.callbacks.running import LOOPBACK
from tests.conformance.following import Ended, Reader
from tests.conformance.ours import OurDriver, base_of
from tests.conformance.transports import OPENERS, PROTOCOL, Call
from tests.servers import HostServer, host_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from types import EllipsisType

    from tests.conformance.driver import Driver

TRANSPORTS = ("ws", "sse", "poll")
HEARTBEAT_S = 1
FOREIGN_TIMEOUT_S = 600
SETTINGS: dict[str, Any] = {
    "FEED_POLL_INTERVAL": 0.05,
    "FEED_HEARTBEAT": HEARTBEAT_S,
    "FEED_ALLOWED_ORIGINS": ["https://partner.example"],
    "FEED_TICKET_AGE": 2,
    "FEED_LIMITS": {
        # The whole suite comes from one address.
        "failures_minute": 10_000,
        "polls_s": 1000,
        "rate_bytes_s": 1_000_000,
        "window_events": 40,
        "ack_timeout_s": 3,
        "silence_timeout_s": 20,
    },
    "CALLBACKS": {"WORKER": "off"},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what names another server; also `LIVEREFERRALS_BASE_URL` and `LIVEREFERRALS_FEED_TOKEN`."""
    group = parser.getgroup("conformance of the feed")
    group.addoption("--base-url", help="The server's site, or the address of its feed up to and including feed/v1.")
    group.addoption("--token", help="A feed token of that server with all scopes.")
    group.addoption("--driver", help="Dotted path of a factory of that server's driver.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the cases the test's database where the servers are ours, and time where a foreign one keeps its limits."""
    is_foreign = option(config, "--base-url", "LIVEREFERRALS_BASE_URL") is not None
    mark = pytest.mark.timeout(FOREIGN_TIMEOUT_S) if is_foreign else pytest.mark.django_db(transaction=True)
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(mark)


def option(config: pytest.Config, name: str, variable: str) -> str | None:
    """Return an option, or the environment variable that stands for it."""
    # Where the whole suite is collected, this file is read too late to add options.
    found: str | None = config.getoption(name, default=None)
    return found or os.environ.get(variable)


def feed_base(url: str) -> str:
    """Return the address of the feed on a site."""
    trimmed = url.rstrip("/")
    return trimmed if urlsplit(trimmed).path.endswith("/feed/v1") else f"{trimmed}/referrals/feed/v1"


def waiting_time(ended: Ended) -> float:
    """Return how many seconds to wait after a refusal; raise it again where it is none that time heals."""
    if ended.code != "rate_limited" or not ended.is_as_promised():
        raise ended
    return float(ended.problem["retry_after_s"])


@dataclass(kw_only=True)
class Target:
    """The server under test, as one reader with its token sees it."""

    base: str
    token: str

    def call(
        self,
        *,
        token: str | EllipsisType | None = ...,
        base: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        subprotocols: Sequence[str] = (PROTOCOL,),
        query: str | None = None,
        **parameters: object,
    ) -> Call:
        """Return a call with the token, unless another one or `None` is given."""
        shown = self.token if isinstance(token, type(...)) else token
        return Call(
            base=base or self.base,
            token=shown,
            headers=headers,
            subprotocols=subprotocols,
            query=query,
            parameters=parameters,
        )

    @contextlib.asynccontextmanager
    async def read(self, transport: str, **how: Any) -> AsyncIterator[Any]:
        """Open the feed: `async with target.read("ws", cursor="oldest") as reader`.

        Where the server says that this was too often, come back when it says so: a foreign server keeps its limits.
        """
        async with contextlib.AsyncExitStack() as stack:
            reader = None
            while reader is None:
                try:
                    reader = await stack.enter_async_context(OPENERS[transport](self.call(**how)))
                except Ended as ended:
                    await asyncio.sleep(waiting_time(ended))
            yield reader

    async def refused(self, transport: str, **how: Any) -> Ended:
        """Return how the server refuses this call; fail where it lets it in."""
        with pytest.raises(Ended) as caught:
            async with self.read(transport, **how) as reader:
                raise await reader.until_ended()
        ended: Ended = caught.value
        assert ended.problem.get("type") == "error", ended
        assert ended.is_as_promised(), ended
        return ended


@pytest.fixture(scope="package")
def own_servers(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[HostServer, HostServer]]:
    """Our servers; they end with these tests, as they number the events of whatever test comes then."""
    with (
        django_db_blocker.unblock(),
        host_server("daphne", LIVEREFERRALS=SETTINGS) as reading,
        host_server("uvicorn", LIVEREFERRALS=SETTINGS) as other,
    ):
        yield reading, other


@pytest.fixture
def server_driver(request: pytest.FixtureRequest) -> Driver | None:
    """What makes things happen on the server under test, if there is something."""
    foreign = option(request.config, "--base-url", "LIVEREFERRALS_BASE_URL")
    if foreign is None:
        request.getfixturevalue("db")  # committed rows, by the mark
        settings = request.getfixturevalue("settings")
        settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}
        return OurDriver(*request.getfixturevalue("own_servers"))
    path = option(request.config, "--driver", "LIVEREFERRALS_FEED_DRIVER")
    return None if path is None else import_string(path)(feed_base(foreign))


@pytest.fixture
def driver(server_driver: Driver | None) -> Driver:
    """The driver, for the cases that cannot do without."""
    if server_driver is None:
        pytest.skip("needs something to happen on the server, and there is no --driver for it")
    return server_driver


@pytest.fixture
async def target(request: pytest.FixtureRequest, server_driver: Driver | None) -> Target:
    """The server under test."""
    foreign = option(request.config, "--base-url", "LIVEREFERRALS_BASE_URL")
    if foreign is None:
        assert isinstance(server_driver, OurDriver)
        return Target(base=base_of(server_driver.reading), token=await server_driver.token())
    token = option(request.config, "--token", "LIVEREFERRALS_FEED_TOKEN")
    if server_driver is not None:
        token = await server_driver.token()
    if token is None:
        pytest.skip("needs --token (or LIVEREFERRALS_FEED_TOKEN)")
    return Target(base=feed_base(foreign), token=token)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Each transport, one after the other."""
    name: str = request.param
    return name


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Skip a case that asks the driver for something that it cannot do."""
    try:
        return (yield)
    except NotImplementedError as error:
        why = str(error) or inspect.trace()[-1].function
        pytest.skip(f"the driver cannot do this: {why}")


@pytest.fixture
async def reader(target: Target, transport: str) -> AsyncIterator[Reader]:
    """A reader that has caught up, with no event so far."""
    async with target.read(transport) as opened:
        await opened.ready()
        yield opened
