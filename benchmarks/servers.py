"""Server processes that are measured: one process each, options written down here, ended by their id."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.environment import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

OPTIONS = {
    # uvloop and httptools are what it takes by itself where they are installed.
    "uvicorn": ["uvicorn", "--host", HOST, "--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
                "--log-level", "warning"],
    "daphne": ["daphne", "--bind", HOST, "--port", "{port}", "--verbosity", "0"],
    "gunicorn": ["gunicorn", "--bind", f"{HOST}:{{port}}", "--workers", "1", "--threads", "8", "--log-level", "warning"],
}  # fmt: skip
"""Everything else is as the server has it by default."""


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One server process with one application."""

    def __init__(
        self,
        kind: str,
        application: str,
        *,
        log: Path,
        environment: dict[str, str] | None = None,
        more: list[str] | None = None,
    ) -> None:
        self.kind = kind
        self.port = free_port()
        self._command = [part.format(port=self.port) for part in OPTIONS[kind]] + (more or []) + [application]
        self._environment = os.environ | (environment or {})
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id; it has to run."""
        if self._process is None:
            raise RuntimeError(f"{self.kind} is not running.")
        return self._process.pid

    def url(self, path: str = "/") -> str:
        """Return the address of a path."""
        return f"http://{HOST}:{self.port}{path}"

    def start(self) -> None:
        """Start the process and return once it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", *self._command],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.kind} does not start:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process as an operator does."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Kill the process at once."""
        self._end(signal.SIGKILL)

    def cpu_s(self) -> float:
        """Return the processor time that the process has used (Linux)."""
        with open(f"/proc/{self.pid}/stat") as stat:  # noqa: PTH123 - no file, a question to the kernel
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return True
        return False

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if number == signal.SIGTERM:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
        # gunicorn's worker would outlive its master for a while, and go on writing.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def running(*servers: Server) -> Iterator[None]:
    """Run servers side by side; none is under load unless it is measured."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield
