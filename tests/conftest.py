"""What every test gets: inline numbering of events, its own files, and real servers on demand.

Tests that start processes or browsers, or kill them, are marked `real` (see `is_real`), and those that wait for threads and
timers of this process are marked `timed` (see `is_timed`). Both get a second chance: what they wait for is done by others,
on a machine that may have no time for these, and a partner's server really does time out then. All other tests decide by our
logic alone, and fail at once. Second chances are few (`--max-suite-reruns` in `pyproject.toml`), and pytest's summary names
each, with what went wrong.
"""

from __future__ import annotations

import inspect
import os
import shutil
from typing import TYPE_CHECKING

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.db import connection

from livereferrals.events.publisher import publisher
from livereferrals.triggers.firings import recorder
from tests.forking import nursery
from tests.servers import PartnerSink, partner_sink, valkey_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker


REAL_PLACES = {"browser", "conformance", "faults", "integration"}
"""Directories whose tests all live with other processes."""
REAL_FIXTURES = {"daphne", "dying", "server", "uvicorn", "valkey_url"}
REAL_NAMES = {"daphne_server", "host_server", "server_environment", "uvicorn_server", "valkey_server"}
"""A module that imports one of these starts processes itself."""
TIMED_FIXTURES = {"scripted", "sink"}
"""Servers in a thread of this process."""
TIMED_NAMES = {"eventually", "in_threads", "running_worker", "threading", "wait_until"}
"""Who imports one of these waits for somebody else."""

ELSEWHERE = {"postgres": {"asgi", "daphne"}, "sqlite": {"uvicorn", "wsgi"}}
"""The cases of each half that the other one runs. The servers, and WSGI and ASGI with asynchronous middleware, lead to the
same statements: each of them is tried in every case, on one of the databases."""

# A busy machine makes single examples slow; how long a whole test may take is pytest's to say. A change is judged by the
# same examples every time; `LIVEREFERRALS_SOAK=1` draws new ones.
hypothesis.settings.register_profile("livereferrals", deadline=None, derandomize="LIVEREFERRALS_SOAK" not in os.environ)
hypothesis.settings.load_profile("livereferrals")


def pytest_configure() -> None:
    """Make this process's own directory: reading the settings, as mypy does, leaves nothing behind."""
    django_settings.SCRATCH.mkdir(mode=0o700)


def pytest_unconfigure() -> None:
    """Take it away, with databases and logs; not by `atexit`, which a worker of xdist does not run."""
    nursery.end()
    shutil.rmtree(django_settings.SCRATCH, ignore_errors=True)


def is_real(item: pytest.Item) -> bool:
    """Whether a test lives with other processes, by where it is, what it is given, or what its module imports."""
    assert isinstance(item, pytest.Function)
    return (
        item.path.parent.name in REAL_PLACES
        or not REAL_FIXTURES.isdisjoint(item.fixturenames)
        or not REAL_NAMES.isdisjoint(vars(item.module))
    )


def is_timed(item: pytest.Item) -> bool:
    """Whether a test waits for threads and timers of this process, which see its rows because it commits them."""
    assert isinstance(item, pytest.Function)
    if item.get_closest_marker("publisher_thread") or not TIMED_FIXTURES.isdisjoint(item.fixturenames):
        return True
    waits = inspect.iscoroutinefunction(item.function) or not TIMED_NAMES.isdisjoint(vars(item.module))
    return waits and commits(item)


def commits(item: pytest.Function) -> bool:
    """Whether the test's rows are committed."""
    mark = item.get_closest_marker("django_db")
    return "transactional_db" in item.fixturenames or (mark is not None and mark.kwargs.get("transaction", False))


def has_database(item: pytest.Item) -> bool:
    """Whether the test may read the database; who has not asked for it is refused."""
    assert isinstance(item, pytest.Function)
    fixtures = {"db", "django_db_blocker", "django_db_setup", "transactional_db"}
    return item.get_closest_marker("django_db") is not None or not fixtures.isdisjoint(item.fixturenames)


def is_left_to_the_other_half(item: pytest.Item) -> bool:
    """Whether the case runs on the other database, as the runner has made two halves: see `ELSEWHERE`.

    What runs on one database only runs there with both servers, and by every way in.
    """
    half = os.environ.get("TEST_HALF")
    if half is None or item.get_closest_marker("once"):
        return False
    if half == "postgres" and not has_database(item) and not is_real(item):
        return True
    elsewhere = ELSEWHERE[half]
    parameters = getattr(item, "callspec", None)  # plain tests have none
    if parameters is None:
        return False
    return not elsewhere.isdisjoint(value for value in parameters.params.values() if isinstance(value, str))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give the tests that wait for others their mark, and their second chance; halve what needs no more.

    Those with browsers go first: of several workers the first one then has them all, and nobody else starts a browser.
    """
    left_out = {item for item in items if is_left_to_the_other_half(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.parent.name != "browser")
    for item in items:
        assert isinstance(item, pytest.Function)
        if getattr(item.function, "is_hypothesis_test", False):  # the same lines, hundreds of times
            item.add_marker("no_cover")
        kind = "real" if is_real(item) else "timed" if is_timed(item) else None
        if kind is not None:
            item.add_marker(kind)
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let the publisher's thread end what a test has asked of it, before the test's database is out of bounds."""
    if item.get_closest_marker("publisher_thread"):
        wait_until(lambda: publisher.is_quiet, what="A publisher that has done its work")


@pytest.fixture(autouse=True)
def _publisher(request: pytest.FixtureRequest) -> Iterator[None]:
    """Number events in the committing thread, except for tests that are marked `publisher_thread`.

    The thread has a database connection of its own: it would see nothing of a test that runs inside a transaction, and
    could hold up the flush of the tables.
    """
    before = publisher.inline
    publisher.inline = request.node.get_closest_marker("publisher_thread") is None
    yield
    publisher.inline = before


@pytest.fixture(autouse=True)
def _recorder() -> Iterator[None]:
    """Keep what triggers decided in memory, where a test may flush it; the thread is a stranger to its transaction."""
    recorder.paused = True
    yield
    recorder.forget()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Before the test database is dropped, end the connections that threads of the tests have left behind."""
    yield
    with django_db_blocker.unblock():
        end_other_connections()


def end_other_connections() -> None:
    """End every other session of the test database (PostgreSQL refuses to drop one that is in use)."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def sink() -> Iterator[PartnerSink]:
    """A partner's HTTP server, which records its calls and misbehaves on request."""
    with partner_sink() as running:
        yield running


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The address of a real Valkey, shared by the tests of this process."""
    with valkey_server() as url:
        yield url


@pytest.fixture
def valkey_layer(valkey_url: str, settings: pytest.FixtureRequest) -> str:
    """A channel layer on a real Valkey as the host's default one."""
    settings.CHANNEL_LAYERS = {  # type: ignore[attr-defined] # pytest-django's wrapper takes any name
        "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [valkey_url]}}
    }
    return valkey_url
