"""Servers of tests without the second that Python needs to import them: forked by a process that has done so before.

What is forked is the real program (`daphne`, `uvicorn`, a worker) from its first line on, a process of its own, with the
environment, the settings and the signal handlers of one that was started; only its modules are there already. The
process that forks has no thread, no event loop and no database connection. `python -m tests.forking <socket>` runs it, until
its standard input ends; each connection to it is one line of JSON that says what to run, with the pipes of who is spoken
to, and is told number and exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, TextIO

from django.conf import settings

from tests.waiting import DEADLINE_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
MODULES: Final = (
    "autobahn.twisted.websocket",
    "django.contrib.staticfiles.handlers",
    "django.core.asgi",
    "livereferrals.asgi",
    "livereferrals.callbacks.worker",
    "tests.urls",
    "twisted.internet.endpoints",
    "twisted.web.http",
    "uvicorn.main",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
)
"""What servers import anyway. Never Twisted's reactor: it is made with an event loop, which two processes cannot share."""


class Forked:
    """A process that somebody else forked; used like `subprocess.Popen`."""

    stdin: TextIO
    """Where it is spoken to: see `converse`."""
    stdout: TextIO

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._said = line.makefile()
        self.pid = int(self._said.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; nothing while it runs."""
        if self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self.returncode = int(self._said.readline())
            self._said.close()
            self._line.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended."""
        if self.returncode is None and not select.select([self._line], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def end(self, timeout: float = DEADLINE_S) -> int:
        """Say no more to it, and return the exit code once it has ended."""
        self.stdin.close()
        self.stdout.close()
        return self.wait(timeout)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)


def start(command: Sequence[str], *, environment: dict[str, str], log: Path) -> Forked:
    """Run a module with arguments, as `python -m` does, in the root of the project, appending its output to a file."""
    return _start(command, [], environment=environment, log=log)


def converse(command: Sequence[str], *, environment: dict[str, str], log: Path) -> Forked:
    """Run a module that is spoken to by lines on its standard input, and answers by lines."""
    (its_input, words), (answers, its_output) = os.pipe(), os.pipe()
    try:
        process = _start(command, [its_input, its_output], environment=environment, log=log)
    finally:
        os.close(its_input)
        os.close(its_output)
    process.stdin, process.stdout = os.fdopen(words, "w"), os.fdopen(answers)
    return process


def _start(command: Sequence[str], pipes: list[int], *, environment: dict[str, str], log: Path) -> Forked:
    line = socket.socket(socket.AF_UNIX)
    line.connect(nursery.path(environment))
    request = {"command": list(command), "environment": environment, "log": str(log)}
    # Pipes go with a first byte of their own: of a long message they may come with a part.
    if pipes:
        socket.send_fds(line, [b" "], pipes)
    line.sendall(json.dumps(request).encode() + b"\n")
    return Forked(line)


class Nursery:
    """The process that forks, made when it is first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._path = ""

    def path(self, environment: dict[str, str]) -> str:
        """Return the path of its socket; it works on the same database as the first process that it forks."""
        if self._process is None:
            self._path = str(Path(settings.SCRATCH) / "nursery")
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "tests.forking", self._path],
                cwd=ROOT,
                env=environment | {"TEST_FORKED": "1", "TEST_SETTINGS": "{}"},
                stdin=subprocess.PIPE,
            )
            wait_until(Path(self._path).exists, what="What forks servers")
        return self._path

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


nursery = Nursery()


# --- the process that forks ----------------------------------------------------------------------------------------------


def main(path: str) -> None:
    """Import everything, then fork what is asked for."""
    import django

    django.setup()
    for name in MODULES:
        importlib.import_module(name)
    assert threading.active_count() == 1
    assert "twisted.internet.reactor" not in sys.modules
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    early, listener = f"{path}.early", socket.socket(socket.AF_UNIX)
    listener.bind(early)
    listener.listen()
    Path(early).rename(path)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        line, _ = listener.accept()
        if not os.fork():
            listener.close()
            keep(line)
            return
        line.close()


def keep(line: socket.socket) -> None:
    """Run what the line asks for in a child; tell its number, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    first, pipes, _, _ = socket.recv_fds(line, 1, 2)
    said = line.makefile("rw")
    request = json.loads(first.decode() + said.readline())
    child = os.fork()
    if not child:
        os.close(line.detach())
        said.detach()
        become(*pipes, **request)
    for pipe in pipes:
        os.close(pipe)
    tell(said, child)
    _, status = os.waitpid(child, 0)
    try:
        tell(said, os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def tell(said: TextIO, number: int) -> None:
    """Write a number, if there is still somebody who wants to know."""
    try:
        said.write(f"{number}\n")
        said.flush()
    except BrokenPipeError:
        os._exit(0)


def become(*pipes: int, command: list[str], environment: dict[str, str], log: str) -> NoReturn:
    """Be the program of this command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    errors = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for target, source in enumerate((*(pipes or (os.open(os.devnull, os.O_RDONLY), errors)), errors)):
        os.dup2(source, target)
    for pipe in pipes:
        os.close(pipe)
    os.environ.clear()
    os.environ.update(environment, TEST_FORKED="1")
    read_settings()
    random.seed()
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    sys.exit(0)


def read_settings() -> None:
    """Read the settings anew, for they depend on the environment."""
    from django.core.signals import setting_changed
    from django.db import connection

    module = sys.modules["tests.settings"]
    # A reload keeps what is not said any more, such as the channel layer of the server that this was first made for.
    for name in [name for name in vars(module) if name.isupper()]:
        delattr(module, name)
    importlib.reload(module)
    settings._setup()  # type: ignore[misc] # there is no public way but a new process
    setting_changed.send(sender=None, setting="LIVEREFERRALS", value=settings.LIVEREFERRALS, enter=True)
    # Models have made this connection when they were imported; it knows its database since then.
    assert connection.settings_dict["NAME"] == settings.DATABASES["default"]["NAME"]


if __name__ == "__main__":
    main(sys.argv[1])
