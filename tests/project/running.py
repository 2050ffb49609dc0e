"""A demo started as a person starts it, in a process group and a directory of its own."""

from __future__ import annotations

import http.cookiejar
import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tests.ports import own_port
from tests.servers import ROOT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_S = 240.0
STOP_S = 120.0
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Demo:
    """The demo's processes; `start` may be called again after it has ended."""

    def __init__(self, directory: Path, **options: str) -> None:
        self.directory = directory
        self.port = own_port()
        self.environment = os.environ | {
            "DEMO_DIR": str(directory),
            "PORT": str(self.port),
            "TRAFFIC": "off",
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DATABASE_URL": "",
            "REDIS_URL": "",
            **options,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "demo.log"

    def start(self) -> dict[str, Any]:
        """Start it and return what `access.json` says once it is there."""
        access = self.directory / "access.json"
        access.unlink(missing_ok=True)
        self.launch()
        wait_until(lambda: access.exists() or self.status() is not None, timeout_s=READY_S, what="access.json")
        assert access.exists(), self.output()
        keys: dict[str, Any] = json.loads(access.read_text())
        return keys

    def launch(self) -> None:
        """Start it without waiting."""
        self.directory.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "project.demo"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return what it has printed."""
        return self.log.read_text()

    def has_printed(self, pattern: str) -> bool:
        """Whether it has printed something that matches."""
        return re.search(pattern, self.output()) is not None

    def status(self) -> int | None:
        """Return the exit status, or nothing while it runs."""
        assert self.process is not None
        return self.process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started, and to no other."""
        assert self.process is not None
        self.process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Send what a terminal sends, to all of its processes."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self) -> int:
        """Return the exit status once it has ended."""
        assert self.process is not None
        return self.process.wait(STOP_S)

    def group_is_gone(self) -> bool:
        """Whether no process of it is left."""
        assert self.process is not None
        self.process.poll()
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def kill(self) -> None:
        """End whatever is left of it, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def server_pid(self) -> int:
        """Return the process id of the server that was started last."""
        return int(re.findall(r"server, process (\d+)", self.output())[-1])


@contextmanager
def running_demo(directory: Path, **options: str) -> Iterator[Demo]:
    """Give a demo that has not been started yet; nothing of it is left afterwards."""
    demo = Demo(directory, **options)
    try:
        yield demo
    finally:
        demo.kill()


class Browser:
    """A browser as far as the demo needs one: cookies, redirects, forms."""

    def __init__(self) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def open(self, url: str) -> str:
        """Return the page at the end of all redirects."""
        with self._opener.open(url, timeout=60) as answer:
            self.url = answer.url
            self.headers = answer.headers
            return str(answer.read().decode())

    def submit(self, url: str, **fields: str) -> str:
        """Open the page, then post its one form to the same URL."""
        (token,) = CSRF.findall(self.open(url))
        data = urllib.parse.urlencode(fields | {"csrfmiddlewaretoken": token}).encode()
        with self._opener.open(urllib.request.Request(url, data, {"Referer": url}), timeout=60) as answer:  # noqa: S310
            self.url = answer.url
            return str(answer.read().decode())


def calls(keys: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the calls that the partner's server got."""
    found: list[dict[str, Any]] = json.loads(Browser().open(keys["receiver"]["log_url"]))
    return found
