"""Puts a server under HTTP load: by `wrk` where it is installed, else by a client of our own in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients.http import BROWSER
from benchmarks.environment import ROOT

LUA = Path(__file__).parent / "clients/wrk.lua"
HALF_A_CORE = 0.5
PATIENCE = "30s"
"""A slow answer is no lost one; `wrk` takes it for one after two seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the client saw in one round."""

    requests: int
    """Answers that were read whole."""
    seconds: float
    p50_ms: float
    p99_ms: float
    wrong: int
    """Answers that were no redirects (`wrk`: of 400 and above)."""
    failed: int
    """Connections that were lost."""
    cpu: float
    """The client's own share of one core."""

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return (self.requests - self.wrong) / self.seconds


def put(url: str, *, connections: int, seconds: float, cookie: str = "") -> Seen:
    """Load the server for some seconds."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return _ours(url, connections=connections, cookie=cookie, more=[f"--seconds={seconds}"])
    headers = ["-H", f"User-Agent: {BROWSER}", *(["-H", f"Cookie: {cookie}"] if cookie else [])]
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", PATIENCE, "-s", str(LUA), *headers, url]
    if seconds != int(seconds):
        raise ValueError(f"wrk takes whole seconds, not {seconds}.")
    told, cpu = _run(command)
    return _seen(told, cpu=cpu)


def send(url: str, *, connections: int, requests: int, seconds: float = 60.0) -> Seen:
    """Send exactly so many requests; the same connections share them."""
    return _ours(url, connections=connections, cookie="", more=[f"--requests={requests}", f"--seconds={seconds}"])


def _ours(url: str, *, connections: int, cookie: str, more: list[str]) -> Seen:
    command = [
        sys.executable,
        "-m",
        "benchmarks.clients.http",
        url,
        f"--connections={connections}",
        f"--cookie={cookie}",
        *more,
    ]
    told, cpu = _run(command)
    return _seen(told, cpu=cpu)


def _run(command: list[str]) -> tuple[dict[str, float], float]:
    """Run a client; return what it told on its last line, and its share of one core."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {process.returncode}: {output}")
    return json.loads(output.splitlines()[-1]), (used.ru_utime + used.ru_stime) / (time.monotonic() - began)


def _seen(told: dict[str, float], *, cpu: float) -> Seen:
    return Seen(
        requests=int(told["requests"]),
        seconds=told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        wrong=int(told["wrong"]),
        failed=int(told["failed"]),
        cpu=round(cpu, 2),
    )
